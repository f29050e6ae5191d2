(string) @string
(subshell) @string
(regex) @string
(heredoc_body) @string
(comment) @comment
(interpolation) @code
