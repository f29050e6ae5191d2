(compound_statement) @block
(function_definition) @definition
