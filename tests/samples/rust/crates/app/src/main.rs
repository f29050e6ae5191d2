use shop_core::{net, Order, Urgency};

fn main() {
    let order = Order::empty(1);
    let _ = (order, Urgency::Low, net::client::Client { .. });
}
