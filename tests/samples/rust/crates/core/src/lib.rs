//! The shop.

pub mod net;
mod order;

pub use order::{Order, Priority as Urgency};

/// Most orders at once.
pub const MAX_ORDERS: usize = 10;
