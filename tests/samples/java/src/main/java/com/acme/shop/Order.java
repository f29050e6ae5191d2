package com.acme.shop;

import java.util.List;

/** What somebody wants. */
public class Order {
    private final List<String> lines;
    static final int MAX = 10;

    public Order(List<String> lines) {
        this.lines = lines;
    }

    /**
     * The sum of all lines.
     */
    public int total() {
        return lines.size();
    }

    enum State { OPEN, CLOSED }
}
