//! Being built.

pub mod demo;
pub mod mock_llm;
