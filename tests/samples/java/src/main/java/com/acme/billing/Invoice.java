package com.acme.billing;

public record Invoice(String id, int amount) {
    public boolean isFree() {
        return amount == 0;
    }
}
