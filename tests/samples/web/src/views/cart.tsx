import React from "react";
import Api, { retry, Mode as Speed } from "@api";
import * as models from "@models/index";
import { Purchase } from "models";
import { format } from "./format";

type Props = { api: Api; order: Purchase };

export function Cart({ api, order }: Props) {
  const text = format(order.total());
  return <p>{text}</p>;
}
