// The BSON types as mongosh and the Node driver spell them, as plain carriers: Rust reads `_bsontype` and the fields.
// What differs from run to run (`new Date()`, `ObjectId()`, `UUID()`) becomes a placeholder that is filled in when the
// step runs; computing with one is a fault. Local times are UTC, so that a file reads the same on every machine.
(function (hooks) {
  'use strict';
  const hidden = (object, entries) => {
    for (const [key, value] of Object.entries(entries)) Object.defineProperty(object, key, { value, writable: true, configurable: true });
    return object;
  };
  const fault = hooks.fault;
  let fresh = 0;

  // A constructor that works with and without `new`.
  function type(tag, read, methods = {}, statics = {}) {
    const make = function (...args) { return Object.assign(Object.create(make.prototype), read(...args)); };
    hidden(make.prototype, { _bsontype: tag, constructor: make, ...methods });
    hidden(make, { ...statics });
    Object.defineProperty(make, 'name', { value: tag });
    return make;
  }
  const settled = (self, what) => {
    if (self.fresh !== undefined) fault(`the value of \`${what}\` is not known before the migration runs`, 'store the object itself, or write a fixed value such as ObjectId("…24 digits…")');
    return self;
  };

  const ObjectId = type('ObjectId', (hex) => {
    if (hex === undefined) return { fresh: fresh++ };
    if (hex && hex._bsontype === 'ObjectId') return { ...hex };
    if (typeof hex === 'number') fault('ObjectId of a time has a random part', 'write ObjectId() or all 24 digits');
    if (!/^[0-9a-fA-F]{24}$/.test(hex)) fault(`\`${hex}\` is no ObjectId`, '24 hexadecimal digits are needed');
    return { hex: hex.toLowerCase() };
  }, {
    toString() { return settled(this, 'ObjectId()').hex; },
    toHexString() { return settled(this, 'ObjectId()').hex; },
    valueOf() { return settled(this, 'ObjectId()').hex; },
    equals(other) { return String(this) === String(other); },
    getTimestamp() { return new Date(parseInt(settled(this, 'ObjectId()').hex.slice(0, 8), 16) * 1000); },
  }, {
    createFromHexString: (hex) => ObjectId(hex),
    isValid: (hex) => /^[0-9a-fA-F]{24}$/.test(hex && hex.hex || hex),
  });

  const digits = (name, value) => {
    if (value && value._bsontype) value = value.digits ?? value.value;
    if (typeof value === 'number' && !Number.isInteger(value)) value = Math.trunc(value);
    let whole;
    try { whole = BigInt(value ?? 0); } catch { fault(`\`${value}\` is no whole number for ${name}`); }
    return BigInt.asIntN(64, whole) === whole ? String(whole) : fault(`${whole} does not fit into 64 bits`);
  };
  const Long = type('Long', (low, high) => high === undefined || typeof high === 'boolean'
    ? { digits: digits('NumberLong', low) }
    : { digits: String((BigInt(high) << 32n) | BigInt(low >>> 0)) }, {
    toString() { return this.digits; },
    toNumber() { return Number(this.digits); },
    toInt() { return Number(this.digits) | 0; },
    toBigInt() { return BigInt(this.digits); },
    valueOf() { return Number(this.digits); },
  }, {
    fromString: (text) => Long(text), fromNumber: (number) => Long(number), fromInt: (number) => Long(number),
    fromBigInt: (number) => Long(number),
  });
  const number = (name, value) => {
    const read = Number(value && value._bsontype ? value.valueOf() : value ?? 0);
    return Number.isNaN(read) && String(value) !== 'NaN' ? fault(`\`${value}\` is no number for ${name}`) : read;
  };
  const boxed = { toString() { return String(this.value); }, valueOf() { return this.value; } };
  const Int32 = type('Int32', (value) => ({ value: number('NumberInt', value) | 0 }), boxed);
  const Double = type('Double', (value) => ({ value: number('Double', value) }), boxed);
  const Decimal128 = type('Decimal128', (value) => ({ digits: String(value ?? 0) }), {
    toString() { return this.digits; },
  }, { fromString: (text) => Decimal128(text) });

  const encode = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  const decode = (base64) => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
    const text = String(base64).replace(/\s/g, '').replace(/-/g, '+').replace(/_/g, '/').replace(/=+$/, '');
    let bits = 0, held = 0, hex = '';
    for (const letter of text) {
      const value = alphabet.indexOf(letter);
      if (value < 0) fault(`\`${letter}\` is no base64 digit`);
      held = ((held << 6) | value) & 0xffff;
      bits += 6;
      if (bits >= 8) { bits -= 8; hex += ((held >> bits) & 255).toString(16).padStart(2, '0'); }
    }
    return hex;
  };
  const Binary = type('Binary', (bytes, subtype = 0) => {
    if (bytes && bytes._bsontype === 'Binary') return { ...bytes };
    if (bytes instanceof ArrayBuffer) bytes = new Uint8Array(bytes);
    if (ArrayBuffer.isView(bytes) || Array.isArray(bytes)) return { hex: encode(bytes), subtype };
    return fault('Binary needs bytes', 'write BinData(0, "…base64…") or HexData(0, "…")');
  }, {}, {
    createFromBase64: (base64, subtype = 0) => BinData(subtype, base64),
    createFromHexString: (hex, subtype = 0) => HexData(subtype, hex),
    SUBTYPE_DEFAULT: 0, SUBTYPE_UUID: 4,
  });
  const binary = (subtype, hex) => Object.assign(Object.create(Binary.prototype), { hex, subtype });
  const BinData = (subtype, base64) => binary(subtype, decode(base64));
  const HexData = (subtype, hex) => /^([0-9a-fA-F]{2})*$/.test(hex) ? binary(subtype, hex.toLowerCase()) : fault(`\`${hex}\` is not hexadecimal`);
  const MD5 = (hex) => HexData(5, hex);
  function UUID(text) {
    if (text === undefined) return Object.assign(Object.create(Binary.prototype), { fresh: fresh++ });
    const hex = String(text.hex ?? text).replace(/-/g, '').toLowerCase();
    return /^[0-9a-f]{32}$/.test(hex) ? binary(4, hex) : fault(`\`${text}\` is no UUID`);
  }

  const Timestamp = type('Timestamp', (t, i) => {
    if (t && typeof t === 'object' && !t._bsontype) return { t: Number(t.t) >>> 0, i: Number(t.i) >>> 0 };
    if (t && t._bsontype === 'Long' && i === undefined) return { t: Number(BigInt(t.digits) >> 32n) >>> 0, i: Number(BigInt(t.digits) & 0xffffffffn) };
    return { t: Number(t ?? 0) >>> 0, i: Number(i ?? 0) >>> 0 };
  });
  const MinKey = type('MinKey', () => ({}));
  const MaxKey = type('MaxKey', () => ({}));
  const Code = type('Code', (code, scope) => ({ code: String(code), scope }));
  const BSONSymbol = type('BSONSymbol', (value) => ({ value: String(value) }));
  const BSONRegExp = type('BSONRegExp', (pattern, options = '') => ({ pattern, options }));
  const DBRef = function (collection, id, database) {
    return database === undefined ? { $ref: collection, $id: id } : { $ref: collection, $id: id, $db: database };
  };

  // Dates. `Now` has the prototype of Date, so that `instanceof` holds, and every method of it is a fault.
  const Real = Date;
  const Now = Object.create(Real.prototype);
  const unknown = () => fault('the time of the run is not known before the migration runs',
    'store `new Date()` as it is, or compute on the server: `$$NOW` with $dateAdd or $dateSubtract in a pipeline update');
  for (const name of Object.getOwnPropertyNames(Real.prototype)) if (name !== 'constructor') hidden(Now, { [name]: unknown });
  hidden(Now, { _bsontype: 'Now', [Symbol.toPrimitive]: unknown });
  Object.defineProperty(Now, Symbol.toPrimitive, { value: unknown });
  const now = () => Object.create(Now);
  const instant = (text) => {
    const iso = /^([+-]?\d{4,6}-\d\d(?:-\d\d)?)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)\s*(Z|[+-]\d\d:?\d\d)?)?$/.exec(text.trim());
    const compact = iso || /^(\d{4})(\d\d)(\d\d)(?:T?(\d\d)(\d\d)(\d\d)?(?:\.\d+)?Z?)?$/.exec(text.trim());
    if (!compact) return fault(`\`${text}\` is no ISO date`, 'write 2026-11-21 or 2026-11-21T09:00:00Z');
    const zone = (iso && iso[3] || 'Z').replace(/^([+-]\d\d)(\d\d)$/, '$1:$2');
    return iso ? Real.parse(iso[2] ? `${iso[1]}T${iso[2]}${zone}` : iso[1])
      : Real.UTC(compact[1], compact[2] - 1, compact[3], compact[4] || 0, compact[5] || 0, compact[6] || 0);
  };
  const ISODate = (text) => text === undefined ? now() : new Real(checked(text, typeof text === 'string' ? instant(text) : Number(text)));
  const checked = (written, value) => Number.isNaN(value) ? fault(`\`${written}\` is no date`) : value;
  const Day = function (...args) {
    if (new.target === undefined) return fault('Date() without `new` is a text with the time of the run', 'store new Date() instead');
    if (args.length === 0) return now();
    if (args.length > 1) return new Real(Real.UTC(...args));
    if (args[0] instanceof Real && args[0]._bsontype === 'Now') return now();
    return ISODate(args[0] ?? NaN);
  };
  Day.prototype = Real.prototype;
  hidden(Day, { now: unknown, UTC: Real.UTC, parse: instant });
  hidden(Real.prototype, { constructor: Day, getTimezoneOffset: () => 0 });
  for (const part of ['FullYear', 'Month', 'Date', 'Day', 'Hours', 'Minutes', 'Seconds', 'Milliseconds']) {
    hidden(Real.prototype, { [`get${part}`]: Real.prototype[`getUTC${part}`] });
    if (part !== 'Day') hidden(Real.prototype, { [`set${part}`]: Real.prototype[`setUTC${part}`] });
  }
  hidden(Real.prototype, { toString: Real.prototype.toISOString });

  // Extended JSON.
  const wrappers = {
    $oid: (v) => ObjectId(v), $date: (v) => ISODate(typeof v === 'object' ? Number(v.$numberLong) : v),
    $numberLong: (v) => Long(v), $numberInt: (v) => Int32(v), $numberDouble: (v) => Double(v),
    $numberDecimal: (v) => Decimal128(v), $uuid: (v) => UUID(v), $minKey: () => MinKey(), $maxKey: () => MaxKey(),
    $binary: (v) => BinData(parseInt(v.subType, 16), v.base64), $timestamp: (v) => Timestamp(v),
    $regularExpression: (v) => BSONRegExp(v.pattern, v.options),
  };
  const revive = (value) => {
    if (Array.isArray(value)) return value.map(revive);
    if (value === null || typeof value !== 'object') return value;
    const keys = Object.keys(value);
    if (keys.length === 1 && wrappers[keys[0]]) return wrappers[keys[0]](value[keys[0]]);
    return Object.fromEntries(keys.map((key) => [key, revive(value[key])]));
  };
  const EJSON = { parse: (text) => revive(JSON.parse(text)), deserialize: revive };

  const types = {
    ObjectId, ObjectID: ObjectId, Long, NumberLong: Long, Int32, NumberInt: Int32, Double, NumberDouble: Double,
    Decimal128, NumberDecimal: Decimal128, Binary, BinData, HexData, MD5, UUID, Timestamp, MinKey, MaxKey, Code,
    BSONSymbol, BSONRegExp, DBRef, ISODate, EJSON,
  };
  hidden(globalThis, { ...types, Date: Day });
  Math.random = () => fault('a random number differs from run to run', 'write the value, or use $rand in a pipeline update');
  return { types, restart() { fresh = 0; } };
})
