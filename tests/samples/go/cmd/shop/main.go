package main

import (
	"fmt"

	keep "example.com/shop/internal/store"
)

func main() {
	shelf := keep.New(10)
	fmt.Println(shelf)
}
