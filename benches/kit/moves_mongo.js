// What moves_mongo.py does in MongoDB, by the driver that most people use: `node moves_mongo.js WHAT URL [ARGUMENT]`.
const { MongoClient } = require('mongodb');

const [what, url, argument] = process.argv.slice(2);
const pipeline = [{ $set: { newName: '$oldName' } }];

// About 300 bytes each.
async function fill(db, count) {
  const pad = 'x'.repeat(190);
  for (let first = 0; first < count; first += 10000) {
    const many = [];
    for (let n = first; n < Math.min(first + 10000, count); n += 1) {
      many.push({ n, oldName: `name ${n}`, age: String(n), hits: 0, pad });
    }
    await db.collection('base').insertMany(many, { ordered: false, writeConcern: { w: 1 } });
  }
}

async function reset(db) {
  for (const name of ['dunlin_history', 'dunlin_journal', 'dunlin_lock']) {
    await db.dropCollection(name).catch(() => {});
  }
  await db.collection('base').aggregate([{ $out: 'users' }], { writeConcern: { w: 'majority' } }).toArray();
}

// The script that people write: a cursor, and a thousand updates at a time.
async function bulk(db) {
  const users = db.collection('users', { writeConcern: { w: 'majority' } });
  let batch = [];
  for await (const found of users.find({}, { projection: { oldName: 1 } })) {
    batch.push({ updateOne: { filter: { _id: found._id }, update: { $set: { newName: found.oldName } } } });
    if (batch.length === 1000) {
      await users.bulkWrite(batch, { ordered: false });
      batch = [];
    }
  }
  if (batch.length > 0) await users.bulkWrite(batch, { ordered: false });
}

// Changes a document for each line that comes in, and answers with a line.
async function probe(db, sample) {
  const users = db.collection('users');
  const found = await users.aggregate([{ $sample: { size: sample } }, { $project: { _id: 1 } }]).toArray();
  console.log('ready');
  for await (const _ of require('readline').createInterface({ input: process.stdin })) {
    const { _id } = found[Math.floor(Math.random() * found.length)];
    await users.updateOne({ _id }, { $inc: { hits: 1 } });
    console.log('done');
  }
}

const WHATS = {
  fill: (db) => fill(db, Number(argument)),
  reset,
  bulk,
  probe: (db) => probe(db, 3000),
  update: (db) => db.collection('users', { writeConcern: { w: argument === '1' ? 1 : argument } }).updateMany({}, pipeline),
  left: async (db) => console.log(await db.collection('users').countDocuments({ $expr: { $ne: ['$newName', '$oldName'] } })),
};

async function main() {
  const client = await MongoClient.connect(url);
  try {
    await WHATS[what](client.db());
  } finally {
    await client.close();
  }
}

main().catch((failure) => {
  console.error(String(failure));
  process.exit(1);
});
