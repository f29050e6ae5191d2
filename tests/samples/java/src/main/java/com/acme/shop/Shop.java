package com.acme.shop;

import com.acme.billing.*;
import com.acme.billing.Tax;
import static com.acme.billing.Tax.withVat;

public interface Shop {
    Order order(String id);

    default int price(String id) {
        Order order = order(id);
        return withVat(order.total());
    }
}
