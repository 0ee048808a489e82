//! Being built.

pub mod admin;
pub mod demo;
pub mod mock_llm;
