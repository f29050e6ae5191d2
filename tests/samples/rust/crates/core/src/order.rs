use crate::net::{client::Client, Address};
use super::MAX_ORDERS;

/// What somebody wants.
#[derive(Debug, Clone)]
pub struct Order {
    pub id: u64,
    total: u32, // in groszy
}

pub enum Priority {
    Low,
    High(u8),
}

/// What can be priced.
pub trait Priced {
    fn price(&self) -> u32;

    fn is_free(&self) -> bool {
        self.price() == 0
    }
}

impl Priced for Order {
    fn price(&self) -> u32 {
        self.total
    }
}

impl Order {
    /// An order of nothing.
    pub fn empty(id: u64) -> Self {
        Order { id, total: 0 }
    }
}

pub fn submit(order: &Order, client: &mut Client, to: Address) -> bool {
    order.id < MAX_ORDERS as u64 && client.send(order.id, to)
}
