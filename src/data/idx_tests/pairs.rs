//! Images and labels together.

use super::*;

#[test]
fn pairs_of_images_and_labels_become_data_sets() {
    let images = file(&zip(&idx(8, &[3, 1, 2], &[0, 1, 2, 3, 4, 255])));
    let labels = file(&idx(8, &[3], &[1, 0, 1]));
    let load = |rows, task| load_idx(images.path(), labels.path(), &IdxOptions { task, rows });
    let set = load(None, None).unwrap();
    assert_eq!(set.features(), [0., 1., 2., 3., 4., 255.]);
    assert_eq!(
        (set.image(), set.targets()),
        (Some([1, 1, 2]), &[1., 0., 1.][..])
    );
    assert_eq!(set.feature_names(), ["p0", "p1"]);
    assert_eq!(
        (set.target_name(), set.task()),
        ("label", Task::Classification { classes: 2 })
    );
    // classes come from the whole file, not from the rows taken
    let one = load(Some(1), None).unwrap();
    assert_eq!(
        (one.n(), one.targets(), one.task()),
        (1, &[1.][..], set.task())
    );
    let regression = load(None, Some(TaskKind::Regression)).unwrap();
    assert_eq!(regression.task(), Task::Regression);
    assert!(
        load(Some(0), None)
            .unwrap_err()
            .to_string()
            .contains("rows = 0")
    );
    let colour = file(&idx(8, &[1, 1, 2, 3], &[1, 2, 3, 4, 5, 6]));
    let read = load_images(colour.path(), None).unwrap();
    assert_eq!((read.shape, read.pixels.len()), ([1, 2, 3], 6));
    // labels of a floating-point type may be real numbers
    let halves: Vec<u8> = [0.5f32, 1.5, 2.5].map(f32::to_be_bytes).concat();
    let real = file(&idx(13, &[3], &halves));
    let set = load_idx(images.path(), real.path(), &IdxOptions::default()).unwrap();
    assert_eq!(
        (set.task(), set.targets()),
        (Task::Regression, &[0.5, 1.5, 2.5][..])
    );
}

#[test]
fn pairs_that_do_not_fit_are_refused() {
    let error = |images: &[u8], labels: &[u8], task| {
        let (images, labels) = (file(images), file(labels));
        let options = IdxOptions { task, rows: None };
        let text = load_idx(images.path(), labels.path(), &options)
            .unwrap_err()
            .to_string();
        let of = |file: &NamedTempFile| text.starts_with(file.path().to_str().unwrap());
        assert!(of(&images) != of(&labels), "{text}");
        (of(&images), text)
    };
    let images = idx(8, &[2, 2, 2], &[7; 8]);
    let labels = idx(8, &[2], &[0, 1]);
    let classify = Some(TaskKind::Classification);
    let halves: Vec<u8> = [0.0f32, 0.5].map(f32::to_be_bytes).concat();
    let nan: Vec<u8> = [0.0f32, 1.0, f32::NAN, 2.0].map(f32::to_be_bytes).concat();
    /// Images, labels, whether the images are at fault, and words of the message.
    type Case<'a> = (&'a [u8], &'a [u8], bool, &'a [&'a str]);
    let cases: [Case; 13] = [
        (&labels, &images, true, &["byte 3", "rank 1", "rank 3"]),
        (&images, &images, false, &["byte 3", "rank 3", "rank 1"]),
        (&idx(8, &[1; 5], &[1]), &labels, true, &["rank 5"]),
        (
            &idx(8, &[0, 2, 2], &[]),
            &labels,
            true,
            &["bytes 4 to 8", "no images"],
        ),
        // that many pixel names are not created if there is no image
        (
            &idx(8, &[0, u32::MAX, 1], &[]),
            &labels,
            true,
            &["no images"],
        ),
        (
            &idx(8, &[2, 0, 2], &[]),
            &labels,
            true,
            &["0x2", "no pixels"],
        ),
        (
            &images,
            &idx(8, &[3], &[0, 1, 1]),
            false,
            &["3 labels", "2 images"],
        ),
        (
            &images,
            &idx(8, &[2], &[0, 2]),
            false,
            &["label 1 never occurs"],
        ),
        (
            &images,
            &idx(8, &[2], &[0, 0]),
            false,
            &["every label is 0"],
        ),
        (
            &images,
            &idx(9, &[2], &[0, 255]),
            false,
            &["record 1", "-1 is not a class"],
        ),
        (
            &images,
            &idx(13, &[2], &halves),
            false,
            &["record 1", "0.5 is not a class"],
        ),
        (
            &images,
            &idx(8, &[2], &[0]),
            false,
            &["record 1", "2 of u8"],
        ),
        (
            &idx(13, &[2, 1, 2], &nan),
            &labels,
            true,
            &["byte 24", "record 1", "NaN"],
        ),
    ];
    for (images, labels, of_images, words) in cases {
        let (blamed, text) = error(images, labels, classify);
        assert_eq!(blamed, of_images, "{text}");
        for word in words {
            assert!(text.contains(word), "'{word}' is not in: {text}");
        }
    }
}

#[test]
fn a_models_images_and_classes_are_checked() {
    let images = file(&idx(8, &[2, 2, 1], &[1, 2, 3, 4]));
    let labels = file(&idx(8, &[2], &[2, 2]));
    let load = |shape, classes, rows| {
        let task = Task::Classification { classes };
        load_idx_for_schema(images.path(), labels.path(), shape, task, rows)
    };
    let set = load([1, 2, 1], 3, None).unwrap();
    assert_eq!(
        (set.targets(), set.image()),
        (&[2., 2.][..], Some([1, 2, 1]))
    );
    assert_eq!(load([1, 2, 1], 3, Some(1)).unwrap().n(), 1);
    // the same number of pixels in another shape
    let error = load([1, 1, 2], 3, None).unwrap_err().to_string();
    assert!(
        error.contains("1x2x1") && error.contains("1x1x2"),
        "{error}"
    );
    let error = load([1, 2, 1], 2, None).unwrap_err().to_string();
    assert!(
        error.contains("record 0") && error.contains("0..2"),
        "{error}"
    );
}
