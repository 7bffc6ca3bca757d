//! Cross-origin resource sharing: preflight answers and response headers.

pub mod runtime;
pub mod spec;
#[cfg(test)]
mod tests;

pub use runtime::CorsRule;
pub use spec::Cors;
