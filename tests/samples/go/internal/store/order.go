package store

// Order is what somebody wants.
type Order struct {
	ID    string
	Total int
}

// Add puts an order in.
func (s *Store) Add(order *Order) error {
	s.orders[order.ID] = order
	return nil
}
