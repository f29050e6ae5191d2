(string) @string
(comment) @comment
(interpolation) @code
