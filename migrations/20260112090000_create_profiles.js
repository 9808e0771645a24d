// The document half: what users say about themselves.

// Up
db.createCollection("profiles", {
  validator: { $jsonSchema: { bsonType: "object", required: ["userId"] } },
});
db.profiles.createIndex({ userId: 1 }, { unique: true });
db.profiles.insertMany([
  { userId: 1, email: "ada@example.org", likes: ["engines"], address: { city: "London" }, since: ISODate("2026-01-12") },
  { userId: 2, email: "blaise@example.org", likes: [], address: { city: "Paris" }, since: ISODate("2026-01-13") },
  { userId: 3, email: "grace@example.org", likes: ["compilers"], address: { city: "Arlington" }, since: ISODate("2026-01-14") },
]);

// Down
db.profiles.drop();
