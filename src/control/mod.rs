//! The control plane: one thread on tokio where well-kept libraries serve. It reads the configuration, runs the admin
//! listener, watches files and signals, and tells the cores by orders. Nothing here is on the path of a request.

pub mod admin;
pub mod callers;
pub mod config;
pub mod demo;
pub mod mock_llm;
pub mod purge_command;

pub mod fingerprint;
pub mod limits;
pub mod listeners;
pub mod reload;
pub mod snapshot;
pub mod source;
pub mod supervise;
pub mod warm_restart;
