"""Datasets as people have them: the sentence that says what was understood, and what is offered."""

from __future__ import annotations

import itertools
import random
import re
import unicodedata
from collections.abc import Iterable

import pytest

from tlcore.datasets.layout import LayoutChoices, ListedFile, read_layout
from tlcore.datasets.layout_folders import MEANINGS


def listing(*patterns: str, **tables: str) -> list[ListedFile]:
    """Files by patterns: "{a,b}" is each of them, "#3" the numbers 1 to 3; tables with content."""
    files = [ListedFile(name) for pattern in patterns for name in expand(pattern)]
    return files + [ListedFile(name.replace("__", "/").replace("_dot_", "."), text.encode())
                    for name, text in tables.items()]  # fmt: skip


def expand(pattern: str) -> Iterable[str]:
    if braces := re.search(r"\{(.*?)\}", pattern):
        before, after = pattern[: braces.start()], pattern[braces.end() :]
        return itertools.chain(*(expand(before + each + after) for each in braces[1].split(",")))
    if number := re.search(r"#(\d+)", pattern):
        counted = (pattern.replace(number[0], str(n), 1) for n in range(1, int(number[1]) + 1))
        return itertools.chain(*map(expand, counted))
    return (pattern,)


def rows(heading: str, *patterns: str) -> str:
    """A table with these headings, if any, and rows by patterns."""
    return "".join(f"{line}\n" for each in (heading, *patterns) if each for line in expand(each))


# What people have → listing, sentence, titles of what is offered instead.
READINGS: dict[str, tuple[list[ListedFile], str, list[str]]] = {
    "the most downloaded": (
        listing("dataset/training_set/{cats,dogs}/#80.jpg", "dataset/test_set/{cats,dogs}/#40.jpg",
                "dataset/single_prediction/cat_or_dog.jpg"),
        "2 classes: cats 80 + 40, dogs 80 + 40. `test_set` is test, `training_set` is training. "
        "1 image has no label.",
        [],
    ),
    "doubled splits": (
        listing("seg_train/seg_train/{sea,street}/#6.jpg", "seg_pred/seg_pred/#4.jpg",
                "seg_test/seg_test/{sea,street}/#3.jpg"),
        "2 classes: sea 6 + 3, street 6 + 3. `seg_test` is test, `seg_train` is training. "
        "4 images have no label.",
        [],
    ),
    "labels in names": (
        listing("train/{cat,dog}.#20.jpg", "test1/#9.jpg",
                sampleSubmission_dot_csv=rows("id,label", "#9,0")),
        "No classes. `test1` is test, `train` is training. 49 images have no label.",
        ["Take 2 labels from the file names? cat 20, dog 20"],
    ),
    "names and drawings": (
        listing("images/{Abyssinian,american_bulldog}_#9.jpg", "annotations/trimaps/Birman_#9.png",
                annotations__list_dot_txt=rows("#Image CLASS-ID", "Abyssinian_#9 1")),
        "No classes. 18 images have no label.",
        ["Take 2 labels from the file names? Abyssinian 9, american_bulldog 9"],
    ),
    "a table of labels": (
        listing("train/a#6f.jpg", "test/b#5e.jpg",
                labels_dot_csv=rows("id,breed", "a#3f,dingo", "a4f,pug", "c#2f,pug"),
                sample_submission_dot_csv=rows("id,dingo,pug", "b#5e,0.5,0.5")),
        "2 classes: dingo 3, pug 1. The labels are from `labels.csv`, column `breed`. `test` is "
        "test, `train` is training. 7 images have no label. 2 rows of `labels.csv` without image: "
        "c1f, c2f.",
        [],
    ),
    "numbers that both splits have": (
        listing("{train,test}/#6.png",
                trainLabels_dot_csv=rows("id,label", "{1,3,4,6},ship", "{2,5},frog")),
        "2 classes: frog 2, ship 4. The labels are from `trainLabels.csv`, column `label`. `test` "
        "is test, `train` is training. 6 images have no label.",
        [],
    ),
    "lists of splits": (
        listing("food/images/{pie,ramen}/#6.jpg", food__meta__classes_dot_txt="pie\nramen\n",
                food__meta__train_dot_txt=rows("", "{pie,ramen}/#4"),
                food__meta__test_dot_txt="pie/5\npie/6\nramen/5\nramen/6\n"),
        "2 classes: pie 4 + 2, ramen 4 + 2. `food/meta/test.txt, food/meta/train.txt` says the "
        "splits.",
        [],
    ),
    "a class and its images by number": (
        listing("CUB/images/{001.Albatross,002.Auklet}/Bird_#5.jpg",
                CUB__images_dot_txt="1 001.Albatross/Bird_1.jpg\n2 001.Albatross/Bird_2.jpg\n",
                CUB__image_class_labels_dot_txt="1 1\n2 1\n"),
        "2 classes: 001.Albatross 5, 002.Auklet 5.",
        [],
    ),
    "a table against folders that say nothing": (
        listing("part_1/ISIC_1#4.jpg", "part_2/ISIC_2#4.jpg", meta_dot_csv=rows(
            "lesion,image_id,dx,age", "H,ISIC_1#4,nv,80", "H,ISIC_2#4,mel,5")),
        "2 classes: mel 4, nv 4. The labels are from `meta.csv`, column `dx`.",
        ["Take 2 labels from folder level 1? part_1 4, part_2 4"],
    ),
    "one-hot, one table a split": (
        listing("train/a#4.jpg", "valid/b#2.jpg",
                train___classes_dot_csv=rows("filename, cat, dog", "a#2.jpg, 1, 0",
                                             "a{3,4}.jpg, 0, 1"),
                valid___classes_dot_csv=rows("filename, cat, dog", "b1.jpg, 1, 0",
                                             "b2.jpg, 1, 1")),
        "2 classes: cat 2 + 1, dog 2 + 0. The labels are from `train/_classes.csv, "
        "valid/_classes.csv`, 2 columns of 0 and 1. `train` is training, `valid` is validation. "
        "1 image has no label.",
        [],
    ),
    "JSON Lines": (
        listing("train/#4.png", "test/#2.png", train__metadata_dot_jsonl="".join(
            f'{{"file_name": "{n}.png", "label": "{"ab"[n % 2]}", "w": null}}\n'
            for n in range(1, 5))),
        "2 classes: a 2, b 2. The labels are from `train/metadata.jsonl`, column `label`. `test` "
        "is test, `train` is training. 2 images have no label.",
        [],
    ),
    "semicolons, quotes, BOM": (
        listing("pics/#4.jpg", labels_dot_csv='\ufeff"Filename";"Label"\r\n"1.JPG";"a; b"\r\n'
                '"2.jpg";"c"\r\n"pics\\3";"c"\r\n"9.jpg";"c"\r\n'),
        "2 classes: a; b 1, c 2. The labels are from `labels.csv`, column `Label`. 1 image has no "
        "label. 1 row of `labels.csv` without image: 9.jpg.",
        [],
    ),
    "a column of splits, tabs": (
        listing("#6.jpg", data_dot_tsv="path\tspecies\tsubset\n" + "".join(
            f"./{n}.jpg\t{'ab'[n % 2]}\t{'Train' if n < 5 else 'TEST'}\n" for n in range(1, 7))),
        "2 classes: a 2 + 1, b 2 + 1. The labels are from `data.tsv`, column `species`. `subset` "
        "says the splits.",
        [],
    ),
    "folders in training, a table in validation": (
        listing("t/train/{n1,n2}/images/#3.JPEG", "t/val/images/v_#4.JPEG",
                "t/test/images/t_#2.JPEG", t__val__val_annotations_dot_txt=rows(
                    "", "v_{1,2}.JPEG\tn1\t0\t3", "v_{3,4}.JPEG\tn2\t0\t3")),
        "2 classes: n1 3 + 2, n2 3 + 2. The labels of 4 images are from "
        "`t/val/val_annotations.txt`, column `column 2`. `test` is test, `train` is training, "
        "`val` is validation. 2 images have no label.",
        [],
    ),
    "the same folders three times": (
        listing("plants/{color,grayscale,segmented}/{scab,rust}/#5.jpg"),
        "2 classes: rust 15, scab 15.",
        ["Take the folders as splits? `color` training, `grayscale` validation, `segmented` test",
         "Take only the 10 images of `color`?", "Take only the 10 images of `grayscale`?",
         "Take only the 10 images of `segmented`?",
         "Take 3 labels from folder level 2? color 10, grayscale 10, segmented 10"],
    ),
    "years": (
        listing("2020/{cats,dogs}/#3.jpg", "2019/{cats,dogs}/#6.jpg"),
        "2 classes: cats 9, dogs 9.",
        ["Take the folders as splits? `2019` training, `2020` validation",
         "Take only the 12 images of `2019`?", "Take only the 6 images of `2020`?",
         "Take 2 labels from folder level 1? 2019 12, 2020 6"],
    ),
    "recordings": (
        listing("{left,right}/{rec0,rec1}/#4.jpg"),
        "2 classes: left 8, right 8.",
        ["Take 2 labels from folder level 2? rec0 8, rec1 8"],
    ),
    "masks": (
        listing("lungs/{COVID,Normal}/{images,masks}/#4.png"),
        "2 classes: COVID 4, Normal 4.",
        [],
    ),
    "classes called masks": (
        listing("{masks,no_masks}/#4.png"), "2 classes: masks 4, no_masks 4.", [],
    ),
    "the whole again beside it": (
        listing("x/x/{train,val}/{NORMAL,SICK}/#4.jpeg", "x/{train,val}/{NORMAL,SICK}/#4.jpeg",
                "x/__MACOSX/x/train/._NORMAL", "x/x/.DS_Store"),
        "2 classes: NORMAL 8 + 8, SICK 8 + 8. `train` is training, `val` is validation.",
        [],
    ),
    "the classes again beside them": (
        listing("{yes,no}/#3.jpg", "tumor/{yes,no}/#3.jpg"),
        "2 classes: no 6, yes 6.",
        ["Take 3 labels from folder level 1? no 3, tumor 6, yes 3"],
    ),
    "heaps that differ by the split alone": (
        listing("cars_train/cars_train/#5.jpg", "cars_test/cars_test/#3.jpg"),
        "No classes. `cars_test` is test, `cars_train` is training. 8 images have no label.",
        [],
    ),
    "class and split in one name": (
        listing("{cats,dogs}_train/#3.jpg", "{cats,dogs}_test/#2.jpg"),
        "2 classes: cats 3 + 2, dogs 3 + 2. `cats_test` is test, `cats_train` is training, "
        "`dogs_test` is test, `dogs_train` is training.",
        [],
    ),
    "a test set beside a set without a word": (
        listing("{rps,rps-test-set}/{rock,paper}/#3.png"),
        "2 classes: paper 3 + 3, rock 3 + 3. `rps-test-set` is test.",
        [],
    ),
    "a preview beside the only folder": (
        listing("x/y/{cats,dogs}/#2.jpg", "x/preview.png"),
        "2 classes: cats 2, dogs 2. 1 image has no label.",
        [],
    ),
    "splits of some classes and the truth": (
        listing("bottle/train/good/#3.png", "bottle/test/{good,broken}/#2.png",
                "bottle/ground_truth/broken/#2_mask.png"),
        "2 classes: broken 0 + 2, good 3 + 2. `test` is test, `train` is training.",
        [],
    ),
    "a table of ids for the classes": (
        listing("Train/{0000,0001}/#3.png", "Test/9#2.png",
                Test_dot_csv=rows("Path,ClassId", "Test/91.png,0", "Test/92.png,1"),
                Train_dot_csv=rows("Path,ClassId", "Train/0000/#3.png,0", "Train/0001/#3.png,1")),
        "2 classes: 0000 3 + 1, 0001 3 + 1. The labels of 2 images are from `Test.csv, "
        "Train.csv`, column `ClassId`. `Test` is test, `Train` is training.",
        [],
    ),
    "a class called train": (
        listing("{train,car,bus}/#4.jpg"),
        "3 classes: bus 4, car 4, train 4. train is a class here, though it has the name of a "
        "split.",
        [],
    ),
    "many classes, as people count": (
        listing("{training,testing}/{10,2,1,3,4,5,6,7}/#2.png"),
        "8 classes: 1 2 + 2, 2 2 + 2, 3 2 + 2, 4 2 + 2, 5 2 + 2, 6 2 + 2 and 2 more. `testing` is "
        "test, `training` is training.",
        [],
    ),
    "a heap in folders that say nothing": (
        listing("images/batch_{1,2}/#3.jpg"),
        "No classes. 6 images have no label.",
        ["Take 2 labels from folder level 2? batch_1 3, batch_2 3"],
    ),
    "classes of classes": (
        listing("animals/{cat,dog}/#3.jpg", "vehicles/{car,bus}/#3.jpg"),
        "2 classes: animals 6, vehicles 6.",
        ["Take 4 labels from folder level 2? bus 3, car 3, cat 3, dog 3"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", READINGS)
def test_the_sentence_says_what_was_understood(name: str) -> None:
    files, sentence, offered = READINGS[name]
    layout = read_layout(files)
    assert layout.describe() == sentence
    assert [other.title for other in layout.alternatives] == offered
    for other in layout.alternatives:
        assert read_layout(files, other.choices).describe() != sentence


def test_what_is_offered_is_read_so() -> None:
    years = READINGS["years"][0]
    splits, _, only, level = read_layout(years).alternatives
    assert read_layout(years, splits.choices).describe() == (
        "2 classes: cats 6 + 3, dogs 6 + 3. `2019` is training, `2020` is validation."
    )
    assert read_layout(years, only.choices).describe() == "2 classes: cats 3, dogs 3."
    assert read_layout(years, level.choices).describe() == "2 classes: 2019 12, 2020 6."
    names = READINGS["labels in names"][0]
    (by_name,) = read_layout(names).alternatives
    assert read_layout(names, by_name.choices).describe() == (
        "2 classes: cat 20, dog 20. The labels are from the file names. `test1` is test, `train` "
        "is training. 9 images have no label."
    )


@pytest.mark.parametrize(
    ("choices", "sentence"),
    [
        ({"level": 1}, "2 classes: animals 6, vehicles 6."),
        ({"level": 2}, "4 classes: bus 3, car 3, cat 3, dog 3."),
        ({"level": 3}, "No classes. 12 images have no label."),
        ({"folders": (("animals", "train"), ("vehicles", "test"))},
         "4 classes: bus 0 + 3, car 0 + 3, cat 3 + 0, dog 3 + 0. `animals` is training, "
         "`vehicles` is test."),
        ({"folders": (("animals/cat", "out"), ("vehicles", "unlabelled"))},
         "1 class: animals 3. 6 images have no label."),
        ({"folders": (("cat", "class"),)}, "2 classes: cat 3, vehicles 6. 3 images have no label."),
        ({"labels": "names"}, "No classes. The labels are from the file names. 12 images have no "
         "label."),
        ({"labels": "table", "table": "gone.csv"}, "No classes. 12 images have no label."),
    ],
)  # fmt: skip
def test_choices_come_before_the_rules(choices: dict[str, object], sentence: str) -> None:
    files = READINGS["classes of classes"][0]
    assert read_layout(files, LayoutChoices(**choices)).describe() == sentence  # type: ignore[arg-type]


def test_columns_are_as_chosen() -> None:
    table = rows("a,b,c,d", "1{1,2}.jpg,21.jpg,x,u", "1{3,4}.jpg,2.jpg,y,v")
    files = listing("1#4.jpg", "2#4.jpg", t_dot_csv=table)
    layout = read_layout(files, LayoutChoices("table", table="t.csv", label_column="d"))
    assert layout.table is not None and layout.table.label_columns == ("d",)
    other = LayoutChoices("table", table="t.csv", file_column="b", label_column="c")
    layout = read_layout(files, other)
    assert layout.table is not None and layout.table.file_column == "b"
    assert layout.table.rows_without_image == ("2.jpg", "2.jpg")


def test_what_is_left_out_is_counted_and_named_in_one_line() -> None:
    files = listing(".NET/#3.jpg", "{Go,Java}/#2.jpg", "Go/{Thumbs.db,README,a.mat,b.xml,c.xml}",
                    ".ipynb_checkpoints/1.jpg", "__MACOSX/Go/._1.jpg")  # fmt: skip
    layout = read_layout(files)
    assert layout.describe_left_out() == (
        "10 files are left out: 4 other than images (*.xml, README, *.mat); 6 hidden or of the "
        "system (.NET, Thumbs.db, .ipynb_checkpoints, __MACOSX)."
    )
    assert [(some.files, some.images) for some in layout.left_out] == [(4, 0), (6, 5)]
    assert read_layout(listing("{a,b}/#2.jpg")).describe_left_out() == ""


def test_names_are_composed() -> None:
    both = [unicodedata.normalize(form, "café/1.jpg") for form in ("NFC", "NFD")]
    content = unicodedata.normalize("NFD", "file,label\n1,thé\n2,a\n").encode()
    table = ListedFile("t.csv", content)
    assert read_layout(map(ListedFile, [*both, "tea/1.jpg"])).classes == ("café", "tea")
    read = read_layout([*map(ListedFile, ["1.jpg", "2.jpg"]), table], LayoutChoices("table"))
    assert read.classes == ("a", "thé")


WORDS = ["train", "test_set", "a", "b", "seg_train", "pred", "images", "", "..", "test tube",
         "2019", "2020", "masks", ".x"]  # fmt: skip
CELLS = ["cat.1.jpg", "dog 2", "1", ",", ";", "\t", "\n", '"', "label", "train", "\0", "{",
         '{"a": "cat.1", "label": "x"}\n']  # fmt: skip


def draw_file(draw: random.Random, number: int) -> ListedFile:
    ending = draw.choice([".jpg", ".PNG", ".txt", ".csv", ".jsonl", ""])
    name = draw.choice([f"{number}", f"cat.{number % 7}", f"dog {number}"])
    folders = draw.choices(WORDS, k=draw.randrange(5))
    content = "".join(draw.choices(CELLS, k=draw.randrange(60))).encode()
    is_table = ending in (".txt", ".csv", ".jsonl")
    return ListedFile("/".join([*folders, name + ending]), content if is_table else None)


def test_any_tree_of_names_and_any_choice_puts_every_file_in_one_place() -> None:
    for seed in range(300):
        draw = random.Random(seed)
        files = [draw_file(draw, number) for number in range(draw.randrange(40))]
        chosen = tuple(
            (draw.choice(WORDS), draw.choice(MEANINGS)) for _ in range(draw.randrange(4))
        )
        choices = LayoutChoices(draw.choice(["", "", "folders", "names", "table"]),
                                draw.choice([0, 0, 1, 2, 9]), chosen,
                                label_column=draw.choice(["", "label"]))  # fmt: skip
        for layout in (read_layout(files), read_layout(files, choices)):
            labelled = sum(sum(counts.values()) for counts in layout.counts.values())
            left_out = sum(place.left_out != "" for place in layout.placements)
            assert layout.files == tuple(files)
            assert labelled + layout.unlabelled + left_out == len(files)
            assert {p.split for p in layout.placements} <= {"train", "val", "test", None}
            assert all(place.label for place in layout.placements)
            assert layout.describe() and isinstance(layout.describe_left_out(), str)
            for other in layout.alternatives:
                read_layout(files, other.choices)
