pub mod client;

pub type Address = (String, u16);
