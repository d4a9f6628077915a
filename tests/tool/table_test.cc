// SPDX-License-Identifier: GPL-2.0-only
#include <gtest/gtest.h>

#include "read/table.hh"

namespace kvmpv {
namespace {

TEST(Table, ColumnsAreFoundByTheirNames) {
    const Document document = parse("version 1\nnew cpu steal_ns\nx 0 5\ny 1 -7\n");
    const Table table = document.table({"cpu", "steal_ns"});
    const std::vector<Row> rows = table.rows();
    ASSERT_EQ(rows.size(), 2u);
    EXPECT_EQ(rows[0].number("steal_ns"), 5);
    EXPECT_EQ(rows[1].number("steal_ns"), -7);
    EXPECT_EQ(rows[1].number("cpu"), 1);
    EXPECT_EQ(rows[1].number("not there"), std::nullopt);
    EXPECT_EQ(rows[1].text("not there"), "");
}

TEST(Table, TheLastColumnTakesTheRestOfTheLine) {
    const Table table = parse("version 1\ncpu reason\n0   two  words \n").table({"reason"});
    EXPECT_EQ(table.rows().at(0).text("reason"), "two  words");
}

TEST(Table, WhatStandsBeforeAndAfterItIsNotInIt) {
    const Document document =
        parse("version 1\nevents 3 lost 1\nseq event\n1 pause\n\nseq other\n2 x\n");
    EXPECT_EQ(document.table({"seq", "event"}).rows().size(), 1u);
    EXPECT_EQ(document.line("events "), "3 lost 1");
    EXPECT_EQ(document.line("absent "), "");
}

TEST(Table, ADashIsNoNumberAndNeitherIsWhatOverflows) {
    EXPECT_EQ(to_number("-"), std::nullopt);
    EXPECT_EQ(to_number(""), std::nullopt);
    EXPECT_EQ(to_number("1x"), std::nullopt);
    EXPECT_EQ(to_number("9223372036854775807"), 9223372036854775807);
    EXPECT_EQ(to_number("9223372036854775808"), std::nullopt);
}

TEST(Table, LinesThatAreTooShortAreCounted) {
    const Table table = parse("version 1\na b c\n1 2 3\n1 2\n").table({"a"});
    EXPECT_EQ(table.rows().size(), 1u);
    EXPECT_EQ(table.cut_short(), 1u);
}

TEST(Table, ALastLineWithoutItsEndIsLeftOut) {
    const Document document = parse("version 1\na b\n1 2\n1 23");
    EXPECT_TRUE(document.is_cut);
    EXPECT_EQ(document.table({"a"}).rows().size(), 1u);
}

TEST(Table, NothingIsFoundInNothing) {
    for (const char* text : {"", "\n", "version\n", "version 1", "\n\n\n", " \n"}) {
        const Document document = parse(text);
        EXPECT_FALSE(document.is_known()) << text;
        EXPECT_TRUE(document.table({"a"}).is_empty()) << text;
    }
}

TEST(Document, KnowsWhatIsNewer) {
    EXPECT_TRUE(parse("version 1\n").is_known());
    EXPECT_FALSE(parse("version 2\n").is_known());
    EXPECT_FALSE(parse("version x\n").is_known());
}

TEST(Document, HoldsNoControlCharacters) {
    const Document document = parse(std::string("version 1\na\n\x1b[2J\x07\xff\0x\n", 21));
    EXPECT_EQ(document.table({"a"}).rows().at(0).text("a"), "\\033[2J\\007\\377\\000x");
}

}  // namespace
}  // namespace kvmpv
