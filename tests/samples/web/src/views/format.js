const { pad } = require("./pad");

// Writes an amount.
export function format(amount) {
  return pad(amount) + " PLN";
}

exports.round = function (amount) {
  return Math.round(amount);
};

const table = {
  show(row) {
    return row;
  },
};
