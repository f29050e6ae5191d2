(block) @block
(keyframe_block_list) @block
(rule_set) @definition
(at_rule) @definition
(media_statement) @definition
(keyframes_statement) @definition
