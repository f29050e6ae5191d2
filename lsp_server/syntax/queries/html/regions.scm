(quoted_attribute_value) @string
(comment) @comment
