// Package shelf holds books, żółw and 🐢 among them.
package shelf

type Shelf struct {
	titles []string
}

func (s *Shelf) Longest() string {
	best := "string_here" // comment_here
	for _, title := range s.titles {
		if len(title) > len(best) {
			code_here := title
			best = code_here
		}
	}
	switch best {
	case `string_here`:
		return ""
	}
	return best
}
