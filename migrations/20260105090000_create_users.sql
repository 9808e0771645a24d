-- The relational half: who our users are.

-- Up
create table users (
    id integer primary key,
    name varchar(80) not null,
    email varchar(200) not null
);
create unique index users_email on users (email);
insert into users (id, name, email) values
    (1, 'Ada', 'ada@example.org'),
    (2, 'Blaise', 'blaise@example.org'),
    (3, 'Grace', 'grace@example.org');

-- Down
drop table users;
