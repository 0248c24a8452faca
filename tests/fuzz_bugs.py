"""What the fuzzing found: the format, the mistake, the name of the test that keeps it mended."""

BUGS = [
    (
        "IDX",
        "of dimensions (0, 4294967295, 4294967295) NumPy's plain ValueError came through",
        "test_huge_dimensions_beside_an_empty_one",
    ),
    (
        "IDX, gzipped",
        "a megabyte was taken at once for what a header of a few bytes declared",
        "test_a_small_gzip_takes_little_memory_whatever_its_header_says",
    ),
    (
        "npy",
        "a non-breaking space or a line break was read as a space, which NumPy refuses or warns of",
        "test_white_space_of_another_kind_in_the_header",
    ),
    (
        "npz",
        "a fourth entry in a header was passed over",
        "test_a_header_with_an_entry_too_many",
    ),
    (
        "npz",
        "a header could make Python's parser print a warning",
        "test_a_header_that_the_parser_would_warn_of",
    ),
    (
        "npz",
        "a wrong length of a name put up to 64 KB of the file into the message",
        "test_a_name_of_a_wrong_length_makes_no_long_message",
    ),
    (
        "npz",
        "bytes before the archive were passed over",
        "test_bytes_before_and_after_the_archive",
    ),
    (
        "model file",
        "the message quoted the file, line breaks and all, in up to a megabyte",
        "test_what_a_header_says_is_quoted_in_one_short_line",
    ),
    (
        "model file",
        "an array without dimensions was written with one, and the file then refused",
        "test_arrays_of_every_kind_come_back",
    ),
    (
        "model file, signed anew",
        "notes beside ours in the metadata were passed over, even of a kind that safetensors does not allow",
        "test_notes_beside_ours",
    ),
    (
        "model file, signed anew",
        "a few bytes of configuration could ask for 65,536 layers, and a minute and 500 MB went by before the refusal",
        "test_a_configuration_of_many_layers_is_refused_at_once",
    ),
    (
        "model file, signed anew",
        'a head named "" was read as the default of PixelCNN++',
        "test_configurations_of_signed_models",
    ),
    (
        "settings (config.toml)",
        "a number of thousands of digits took 140 times its length in memory",
        "test_bombs",
    ),
]
