(block) @block
(function_declaration) @definition
