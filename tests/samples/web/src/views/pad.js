module.exports.pad = (text) => ` ${text}`;
