use super::Address;

pub struct Client {
    sent: Vec<u64>,
}

impl Client {
    pub fn send(&mut self, id: u64, _to: Address) -> bool {
        self.sent.push(id);
        true
    }
}
