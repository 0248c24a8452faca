"""The plans and the table of docs/teaching.md go with the lessons: what they need, and which exercises they have."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
LESSONS = {path.name.partition("_")[0]: path for path in sorted((ROOT / "lessons").glob("[0-9]*.py"))}
PAGE = (ROOT / "docs" / "teaching.md").read_text(encoding="utf-8")
LINK = re.compile(r"\[(\d\d\w?)\]\(\.\./lessons/([^)]+)\)")


def rows_of(text):
    """The cells of all rows of the tables of a text."""
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows]


def section(title):
    """What stands on the page below a heading, up to the next one."""
    return re.search(rf"^##+ {title}.*?\n(.*?)(?=^##)", PAGE, re.DOTALL | re.MULTILINE)[1]


def numbers(text):
    """The lessons that a cell names: "02 to 04, 09" is four of them."""
    names = list(LESSONS)
    found = set(re.findall(r"\b\d\d[a-z]?\b", text))
    for first, last in re.findall(r"(\d\d\w?) to (\d\d\w?)", text):
        found |= set(names[names.index(first) : names.index(last) + 1])
    return found


COURSE = (ROOT / "lessons" / "README.md").read_text(encoding="utf-8")
NEEDS = {row[0].strip("[*")[:3].strip(): numbers(row[3]) for row in rows_of(COURSE) if row[0].startswith("[")}


def test_the_table_has_every_lesson_and_what_it_needs():
    rows = rows_of(section("What each lesson needs and gives"))[2:]
    assert {LINK.fullmatch(row[0])[1]: numbers(row[1]) for row in rows} == NEEDS
    assert list(NEEDS) == list(LESSONS)


def test_links_lead_to_the_lesson_of_their_number():
    for number, file in LINK.findall(PAGE):
        assert LESSONS[number].name == file


def test_a_plan_has_each_lesson_after_those_that_it_needs():
    first, second, third = (rows_of(section(title))[2:] for title in ("Four hours", "Eight hours", "Twelve hours"))
    for hours, plan in ((4, first), (8, first + second), (12, third)):
        assert [row[0] for row in plan] == [str(hour + 1) for hour in range(hours)]
        known = set()
        for row in plan:
            lessons = [number for number, _ in LINK.findall(row[1])]
            for number in lessons:
                assert known | set(lessons[: lessons.index(number)]) >= NEEDS[number], (hours, number)
            known |= set(lessons)


def test_a_path_has_all_lessons_that_its_lessons_need():
    paths = re.findall(r"^- \*\*(.*?)\*\*: (.*?)(?=^- |^#)", COURSE, re.DOTALL | re.MULTILINE)
    assert len(paths) == 4
    for name, path in paths:
        lessons = numbers(path)
        assert len(lessons) >= 7
        assert {number: NEEDS[number] - lessons for number in lessons if NEEDS[number] - lessons} == {}, name


def test_exercises_that_are_set_are_there_and_as_hard_as_said():
    for number, exercise in re.findall(r"\b(\d\d[a-z]?)\.(\d)\b", PAGE):
        assert re.search(rf"^# {exercise}\. \*", LESSONS[number].read_text(encoding="utf-8"), re.MULTILINE)
    for row in rows_of(section("What each lesson needs and gives"))[2:]:
        for cell, grade in zip(row[3:], ("easy", "hard"), strict=True):
            number, exercise = cell.split(".")
            text = LESSONS[number].read_text(encoding="utf-8")
            assert re.search(rf"^# {exercise}\. \*{grade}", text, re.MULTILINE | re.IGNORECASE), cell
