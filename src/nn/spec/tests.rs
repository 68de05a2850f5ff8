//! Descriptions and the networks they stand for, and texts that are no descriptions.

use proptest::prelude::*;

use super::*;
use crate::nn::{LinearHead, Network};

fn parse(text: &str) -> SequentialSpec {
    text.parse()
        .unwrap_or_else(|e: Error| panic!("{text}: {e}"))
}

fn message(text: &str) -> String {
    match text.parse::<SequentialSpec>() {
        Ok(spec) => panic!("{text} was read as {spec}"),
        Err(e) => e.to_string(),
    }
}

fn window(size: [usize; 2], stride: [usize; 2], padding: [usize; 2]) -> Window {
    Window {
        size,
        stride,
        padding,
    }
}

#[test]
fn presets_have_the_parameters_that_are_documented() {
    let lenet = parse("lenet5").build([1, 28, 28], 10).unwrap();
    // 25*6+6, 150*16+16, 400*120+120, 120*84+84, 84*10+10
    assert_eq!(lenet.dim(), 156 + 2_416 + 48_120 + 10_164 + 850);
    assert_eq!(lenet.dim(), 61_706);
    assert_eq!(
        (lenet.features(), lenet.hidden_params()),
        (84, 61_706 - 850)
    );
    let small = parse("precursor").build([1, 28, 28], 10).unwrap();
    // 25*4+4, 100*4+4, 64*16+16, 16*10+10, 10*10+10 twice
    assert_eq!(small.dim(), 104 + 404 + 1_040 + 170 + 110 + 110);
    // the largest tensor of LeNet-5 for one image: the output of its first convolution
    assert_eq!(lenet.widest(), 6 * 28 * 28);
}

#[test]
fn every_form_is_read_as_written() {
    let conv = |channels, window, groups| LayerSpec::Conv {
        channels,
        window,
        groups,
    };
    let spec = parse(
        " conv:6x5x3s2x1p1g3 , conv:4x3g2p1s2,avgpool:2,maxpool:3x2s1p1x0,layernorm,groupnorm:2,\
         residual(conv:4x1,residual( silu )) ,flatten,linear:7,identity ",
    );
    let want = vec![
        conv(6, window([5, 3], [2, 1], [1, 1]), 3),
        conv(4, window([3, 3], [2, 2], [1, 1]), 2),
        LayerSpec::AvgPool(window([2, 2], [2, 2], [0, 0])),
        LayerSpec::MaxPool(window([3, 2], [1, 1], [1, 0])),
        LayerSpec::LayerNorm,
        LayerSpec::GroupNorm { groups: 2 },
        LayerSpec::Residual(vec![
            conv(4, window([1, 1], [1, 1], [0, 0]), 1),
            LayerSpec::Residual(vec![LayerSpec::Activation(Activation::Silu)]),
        ]),
        LayerSpec::Flatten,
        LayerSpec::Linear { units: 7 },
        LayerSpec::Activation(Activation::Identity),
    ];
    assert_eq!(spec.layers(), want);
    assert_eq!(
        spec.to_string(),
        "conv:6x5x3s2x1p1g3,conv:4x3s2p1g2,avgpool:2,maxpool:3x2s1p1x0,layernorm,groupnorm:2,\
         residual(conv:4x1,residual(silu)),flatten,linear:7,identity"
    );
    // usual values are left out
    assert_eq!(
        parse("conv:2x3x3s1x1p0g1,avgpool:2s2").to_string(),
        "conv:2x3,avgpool:2"
    );
    assert_eq!(parse(" lenet5").to_string(), LENET5);
    for activation in Activation::ALL {
        let layers = [LayerSpec::Activation(activation)];
        assert_eq!(parse(activation.name()).layers(), layers);
    }
}

#[test]
fn errors_name_the_place_and_what_was_expected() {
    let cases: [(&str, &[&str]); 28] = [
        ("", &["character 1,", "expected a layer", "the end"]),
        ("tanh,", &["character 6,", "expected a layer", "the end"]),
        ("tanh,,relu", &["character 6,", "expected a layer", "','"]),
        ("swish", &["character 1,", "'swish'", "silu", "groupnorm"]),
        ("tanh;relu", &["character 5,", "expected ','", "';'"]),
        ("tanh)", &["character 5,", "expected ','", "')'"]),
        ("conv", &["character 5,", "':'", "the end"]),
        ("conv:", &["character 6,", "number of channels", "the end"]),
        ("conv:6", &["character 7,", "'x'", "the end"]),
        ("conv:6y5", &["character 7,", "'x'", "'y'"]),
        ("conv:6x", &["character 8,", "sides", "the end"]),
        ("conv:6x5q", &["character 9,", "s, p, g", "'q'"]),
        ("conv:6x5s", &["character 10,", "stride", "the end"]),
        ("conv:6x5p2p3", &["character 11,", "'p' stands twice"]),
        ("conv:0x5", &["character 1,", "channels must be from 1"]),
        ("conv:6x0", &["character 1,", "sides must be from 1"]),
        ("conv:6x5s0", &["character 1,", "strides must be from 1"]),
        ("tanh,conv:6x5p5", &["character 6,", "padding 5", "5"]),
        ("conv:6x5g4", &["character 1,", "4 groups", "6 channels"]),
        ("conv:-6x5", &["character 6,", "'-'"]),
        ("conv:9999999999999999999999x5", &["character 6,", "large"]),
        ("linear:2000000", &["character 1,", "1048576", "2000000"]),
        ("avgpool:2g2", &["character 10,", "s, p or", "'g'"]),
        ("groupnorm", &["character 10,", "':'"]),
        ("residual", &["character 9,", "'('", "the end"]),
        ("residual(tanh", &["character 14,", "',' or ')'", "the end"]),
        ("tanh,lenet5", &["character 6,", "stands alone"]),
        ("täh\u{7}", &["character 1,", "got 'täh'", "\\u{7}"]),
    ];
    for (text, words) in cases {
        let error = message(text);
        for word in words {
            assert!(error.contains(word), "'{word}' is not in: {error}");
        }
        assert!(!error.contains(char::is_control));
    }
    let long = message(&"conv:6x5,".repeat(10_000));
    assert!(long.contains("more than 1024 layers") && long.len() < 250);
    assert!(message(&"x".repeat(10_000)).len() < 500);
    // deep nesting must not exhaust the stack
    let deep = message(&"residual(".repeat(100_000));
    assert!(deep.contains("nested deeper than 16"), "{deep}");
    let open = "residual(".repeat(16) + "tanh" + &")".repeat(16);
    assert_eq!(parse(&open).to_string(), open);
}

#[test]
fn flatten_is_put_in_where_a_linear_layer_meets_an_image() {
    for (short, long) in [
        ("conv:3x2,linear:4", "conv:3x2,flatten,linear:4"),
        ("conv:3x2,tanh", "conv:3x2,tanh,flatten"),
        ("linear:4,tanh", "flatten,linear:4,tanh"),
    ] {
        let build = |text: &str| parse(text).build([4, 4, 2], 3).unwrap();
        assert_eq!(build(short).dim(), build(long).dim());
        assert_eq!(build(short).features(), build(long).features());
    }
}

#[test]
fn networks_that_cannot_be_are_refused_with_their_layer() {
    let build = |text: &str, image| match parse(text).build(image, 2) {
        Ok(_) => panic!("{text} was built"),
        Err(e) => e.to_string(),
    };
    let error = build("conv:4x5,tanh,avgpool:2,conv:4x5", [1, 8, 8]);
    for word in ["conv:4x5 (layer 4)", "input of 4x2x2", "5x5 window", "2x2"] {
        assert!(error.contains(word), "'{word}' is not in: {error}");
    }
    assert!(build("linear:4,conv:4x5", [1, 8, 8]).contains("layer 2"));
    assert!(build("residual(avgpool:2)", [1, 8, 8]).contains("1, 4, 4"));
    assert!(build("conv:4x3g2", [1, 8, 8]).contains("2 equal groups"));
    assert!(build("groupnorm:2", [3, 8, 8]).contains("2 equal groups"));
    assert!(build("tanh", [1, 8, 0]).contains("positive"));
    // sums of such sides must not overflow
    let huge = build("conv:2x3p1", [1, usize::MAX, 2]);
    assert!(huge.contains("image = 1x18446744073709551615x2"), "{huge}");
    assert!(build("linear:1000000,linear:1000000", [1, 8, 8]).contains("too many parameters"));
    // few parameters, much memory: also inside a block, and beyond what a word can count
    let wide = "conv:1000000x1,conv:1x1";
    assert!(build(wide, [1, 8, 8]).contains("too many"));
    assert!(build(&format!("residual({wide})"), [1, 8, 8]).contains("too many"));
    let grow = "avgpool:1000000s1p999999,".repeat(60) + "flatten";
    assert!(build(&grow, [1, 8, 8]).contains("too many"));
    assert!(build(&format!("residual({grow})"), [1, 8, 8]).contains("layers"));
    assert!(parse("tanh").build([1, 8, 8], 0).is_err());
}

#[test]
fn descriptions_made_by_a_program_are_checked_too() {
    assert!(SequentialSpec::new(Vec::new()).is_err());
    assert!(SequentialSpec::new(vec![LayerSpec::Residual(Vec::new())]).is_err());
    assert!(SequentialSpec::new(vec![LayerSpec::Linear { units: 0 }]).is_err());
    let inner = vec![LayerSpec::MaxPool(window([2, 2], [1, 1], [2, 0]))];
    let error = SequentialSpec::new(vec![LayerSpec::Residual(inner)]).unwrap_err();
    assert!(error.to_string().contains("padding 2"), "{error}");
    let many = vec![LayerSpec::Flatten; 1_025];
    assert!(SequentialSpec::new(many).is_err());
    let deep = (0..17).fold(LayerSpec::Flatten, |l, _| LayerSpec::Residual(vec![l]));
    assert!(SequentialSpec::new(vec![deep]).is_err());
}

fn any_window() -> impl Strategy<Value = Window> {
    let side = 1usize..40;
    let sides = [side.clone(), side.clone()];
    (sides.clone(), sides.clone(), sides, 0usize..3).prop_map(|(size, stride, padding, kind)| {
        // usual values are frequent, to test that they are left out; padding is below the window's
        // sides
        let below = |axis: usize| padding[axis] % size[axis];
        match kind {
            0 => window(size, size, [0, 0]),
            1 => window([size[0]; 2], [1, 1], [below(0).min(size[0] - 1); 2]),
            _ => window(size, stride, [below(0), below(1)]),
        }
    })
}

fn any_layer() -> impl Strategy<Value = LayerSpec> {
    let groups = (1usize..6, 1usize..40);
    let conv = (groups, any_window()).prop_map(|((groups, per), window)| LayerSpec::Conv {
        channels: groups * per,
        window,
        groups,
    });
    let leaf = prop_oneof![
        conv,
        any_window().prop_map(LayerSpec::AvgPool),
        any_window().prop_map(LayerSpec::MaxPool),
        Just(LayerSpec::LayerNorm),
        (1usize..=MAX_NUMBER).prop_map(|groups| LayerSpec::GroupNorm { groups }),
        (1usize..=MAX_NUMBER).prop_map(|units| LayerSpec::Linear { units }),
        Just(LayerSpec::Flatten),
        prop::sample::select(Activation::ALL.to_vec()).prop_map(LayerSpec::Activation),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop::collection::vec(inner, 1..4).prop_map(LayerSpec::Residual)
    })
}

proptest! {
    #[test]
    fn what_is_shown_is_read_back(layers in prop::collection::vec(any_layer(), 1..8)) {
        let spec = SequentialSpec::new(layers).unwrap();
        let text = spec.to_string();
        let back: SequentialSpec = text.parse().unwrap();
        prop_assert_eq!(&back, &spec);
        prop_assert_eq!(back.to_string(), text);
    }

    /// Any text is a description or an error. Any description is a network or an error.
    #[test]
    fn any_text_gives_an_answer(
        parts in prop::collection::vec(prop::sample::select(vec![
            "conv:", "avgpool:", "maxpool:", "residual(", "linear:", "groupnorm:", "layernorm", "flatten", "tanh",
            ",", ",", ",", ")", "x", "s", "p", "g", "1", "2", "3", "8", "1048576", " ", "é",
        ]), 0..14)
    ) {
        let text = parts.concat();
        if let Ok(spec) = text.parse::<SequentialSpec>() {
            prop_assert_eq!(&spec.to_string().parse::<SequentialSpec>().unwrap(), &spec);
            if let Ok(net) = spec.build([8, 6, 2], 3) {
                prop_assert_eq!((net.input_dim(), net.output_dim()), (96, 3));
            }
        }
    }
}
