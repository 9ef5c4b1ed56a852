// The binary framing of AWS's streams: messages of text headers and a payload, with their checksums.

const TABLE = Uint32Array.from({ length: 256 }, (_, value) => {
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

/** CRC-32 as gzip has it. */
const crc32 = (bytes) => ~bytes.reduce((crc, byte) => TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8), -1) >>> 0;

const number = (value) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

/** One message. */
export function message(headers, payload) {
  const head = Buffer.concat(Object.entries(headers).map(([name, value]) => {
    const length = Buffer.alloc(2);
    length.writeUInt16BE(Buffer.byteLength(value));
    return Buffer.concat([Buffer.from([Buffer.byteLength(name)]), Buffer.from(name), Buffer.from([7]), length, Buffer.from(value)]);
  }));
  const body = Buffer.from(payload);
  const lengths = Buffer.concat([number(16 + head.length + body.length), number(head.length)]);
  const content = Buffer.concat([lengths, number(crc32(lengths)), head, body]);
  return Buffer.concat([content, number(crc32(content))]);
}

/** The messages in these bytes, as `{headers, payload}`; throws where a checksum is wrong or the last one is cut. */
export function messages(bytes) {
  const found = [];
  for (let at = 0; at < bytes.length; ) {
    const total = bytes.readUInt32BE(at);
    const one = bytes.subarray(at, at + total);
    if (one.length < total || one.readUInt32BE(8) !== crc32(one.subarray(0, 8)) || one.readUInt32BE(total - 4) !== crc32(one.subarray(0, total - 4))) {
      throw new Error(`a damaged message at ${at}`);
    }
    const end = 12 + one.readUInt32BE(4);
    const headers = {};
    for (let place = 12; place < end; ) {
      const name = one.toString('utf8', place + 1, place + 1 + one[place]);
      place += 2 + one[place];
      const length = one.readUInt16BE(place);
      headers[name] = one.toString('utf8', place + 2, place + 2 + length);
      place += 2 + length;
    }
    found.push({ headers, payload: JSON.parse(one.toString('utf8', end, total - 4)) });
    at += total;
  }
  return found;
}
