package com.acme.billing;

public final class Tax {
    private Tax() {}

    @Deprecated
    public static int withVat(int net) {
        return net * 123 / 100;
    }
}
