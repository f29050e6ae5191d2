(block_mapping) @block
(block_sequence) @block
(block_mapping_pair value: (block_node)) @definition
