struct list;

// Puts an item in front.
void list_push(struct list *list, void *item);
