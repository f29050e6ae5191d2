// Package store keeps orders.
package store

import "errors"

// ErrMissing is given for an order that is not there.
var ErrMissing = errors.New("missing")

const (
	// MaxOrders is how many are kept.
	MaxOrders = 100
	minOrders = 1
)

// Store keeps orders in memory.
type Store struct {
	// Orders by id.
	orders map[string]*Order
	limit  int
}

// Finder finds orders.
type Finder interface {
	Find(id string) (*Order, error)
}

// New makes a store for limit orders.
func New(limit int) *Store {
	return &Store{orders: map[string]*Order{}, limit: limit}
}

// Find gives one order.
func (s *Store) Find(id string) (*Order, error) {
	order, ok := s.orders[id]
	if !ok {
		return nil, ErrMissing
	}
	return order, nil
}
