//! Being built.

pub mod admin;
pub mod config;
pub mod demo;
pub mod mock_llm;
