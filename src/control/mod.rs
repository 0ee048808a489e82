//! Being built.

pub mod mock_llm;
