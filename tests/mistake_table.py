"""What people type when they come from elsewhere: REFUSED has a call and what its message has to say, a row per mistake.

TAKEN has what is taken, because it can mean one thing alone: what comes of it, and of what it means.
"""
# ruff: noqa: E501 - a row a line

import numpy as np
from PIL import Image

import minipixel as mp

M, H, W, Q = mp.models, 4, 3, 17
RNG = np.random.default_rng(0)
X = RNG.integers(0, Q, (6, H, W, 1), np.uint8)
RGB = RNG.integers(0, Q, (6, H, W, 3), np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])
KNOWN = np.indices((H, W))[0] < 2


class Made:
    """Everything that the tables speak of, made once."""

    def __init__(self):
        small = {"hidden": 3, "blocks": 1}
        self.m = M.PixelCNN((H, W, 1), Q, **small)
        self.rgb = M.PixelCNN((H, W, 3), Q, **small)
        self.two = M.PixelCNN((H, W, 1), 2, **small)
        self.of_class = M.PixelCNN((H, W, 1), Q, **small, num_classes=3)
        self.of_vector = M.PixelCNN((H, W, 1), Q, **small, condition_shape=(2,))
        self.of_map = M.PixelCNN((H, W, 1), Q, **small, condition_shape=(H, W, 2))
        self.net = M.EmbeddingNet((H, W, 1), Q, filters=2, layers=1)
        self.ds = mp.datasets.load("digits")
        self.fitted = M.PixelCNN(self.ds.image_shape, Q, **small)


class LikeTorch:
    """A Tensor of PyTorch's on a GPU, on a tape: NumPy gets it only after detach and cpu."""

    def __init__(self, array, steps=()):
        self.array, self.steps = array, steps

    def detach(self):
        return LikeTorch(self.array, (*self.steps, "detach"))

    def cpu(self):
        return LikeTorch(self.array, (*self.steps, "cpu"))

    def __array__(self, dtype=None, copy=None):
        if self.steps != ("detach", "cpu"):
            raise TypeError("can't convert cuda:0 device type tensor to numpy")
        return self.array


class Series:
    """A column of pandas: it has a `get` that is no transfer."""

    def __init__(self, values):
        self.values = values

    def get(self, key, default=None):
        return default

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values)


def pictures(images, mode):
    return [Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).convert(mode) for image in images]


# fmt: off
REFUSED = {
    # --- images, wherever they go in --------------------------------------------------------------------------------
    "a data set": (lambda t: mp.fit(t.fitted, t.ds), "images: got a Dataset, wanted an array; pass its ds.train.images"),
    "a split": (lambda t: mp.fit(t.fitted, t.ds.train), "images: got a Split, wanted an array; pass its .images"),
    "a split, scored": (lambda t: t.fitted.log_prob(t.ds.test), "images: got a Split, wanted an array; pass its .images"),
    "a pair": (lambda t: mp.fit(t.of_class, (X, LABELS)), "images: got a list of shapes (6, 4, 3, 1) and (6,)"),
    "a name": (lambda t: mp.fit(t.m, "digits"), "images: got 'digits', wanted an array; mp.datasets.load gives sets"),
    "a generator": (lambda t: t.m.loss(x for x in X), "images: got a generator, wanted an array; np.stack its items"),
    "a dict": (lambda t: t.m.loss({"image": X}), "images: got a dict, wanted an array; np.stack its items, by their keys"),
    "nothing": (lambda t: t.m.loss(None), "images: got None, wanted an array"),
    "floats in 0..1": (lambda t: mp.fit(t.m, X / 16), 'make levels: np.rint(images * 16).astype("uint8")'),
    "floats in -1..1": (lambda t: mp.fit(t.m, X / 8 - 1), 'make levels: np.rint((images + 1) * 8).astype("uint8")'),
    "whole floats": (lambda t: t.m.log_prob(X * 1.0), 'they are whole: images.astype("uint8")'),
    "floats in 0..255": (lambda t: t.m.predict(X * 15.3), "scale them to 0..16, then np.rint"),
    "NaN": (lambda t: t.m.log_prob(X * np.nan), "there are NaN or infinite numbers among them"),
    "floats of PyTorch": (lambda t: t.m.loss(LikeTorch(X / 16)), "np.rint(np.asarray(images) * 16)"),
    "channels first": (lambda t: mp.fit(t.rgb, RGB.transpose(0, 3, 1, 2)), "images.transpose(0, 2, 3, 1)"),
    "grey, channels first": (lambda t: t.m.loss(X.transpose(0, 3, 1, 2)), "images.transpose(0, 2, 3, 1)"),
    "one, channels first": (lambda t: t.rgb.loss(RGB[0].transpose(2, 0, 1)), "images.transpose(1, 2, 0)[None]"),
    "no channel axis": (lambda t: t.m.loss(X[..., 0]), "add a channel axis: images[..., None]"),
    "no channel axis, a list": (lambda t: t.m.loss(X[..., 0].tolist()), "np.asarray(images)[..., None]"),
    "no batch axis": (lambda t: t.m.loss(X[0]), "add a batch axis: images[None]"),
    "neither": (lambda t: t.m.loss(X[0, ..., 0]), "add a batch and a channel axis: images[None, ..., None]"),
    "flat": (lambda t: t.m.loss(X.reshape(6, -1)), "they are flat: images.reshape(-1, 4, 3, 1)"),
    "too few features": (lambda t: M.RowLSTM((8, 8, 17), 2), "hidden: got 16, wanted a whole number in 17..65536, a feature at least for each of the 17 channels; say hidden=17"),
    "flat, one": (lambda t: t.m.loss(X[0].ravel()), "it is flat: images.reshape(1, 4, 3, 1)"),
    "with alpha": (lambda t: t.rgb.loss(RGB[..., [0, 1, 2, 0]]), "leave the alpha channel out: images[..., :3]"),
    "grey for colours": (lambda t: t.rgb.loss(X), "repeat the grey channel: np.repeat(images, 3, axis=-1)"),
    "colours for grey": (lambda t: t.m.loss(RGB), "make them grey, or the model with image_shape=(4, 3, 3)"),
    "another size": (lambda t: t.m.loss(X[:, 1:]), "scale or crop them, or make the model with image_shape=(3, 3, 1)"),
    "no images": (lambda t: t.m.loss(X[:0]), "wanted (N, 4, 3, 1) with N >= 1"),
    "booleans of many levels": (lambda t: t.m.loss(X > 8), "black and white: images * np.uint8(16)"),
    "too many levels": (lambda t: t.two.loss(X), "see minipixel.datasets.quantize and binarize"),
    "of several sizes": (lambda t: t.m.loss([X[0], X[0, 1:]]), "got a list of shapes (4, 3, 1) and (3, 3, 1), wanted all of"),
    "rows of several lengths": (lambda t: t.m.loss([[1, 2], [3]]), "images: got a list that NumPy cannot hold"),
    "a palette": (lambda t: t.rgb.loss(pictures(RGB, "P")), "picture of mode 'P', wanted one of 1, L, LA, RGB, RGBA; .convert("),
    "masked": (lambda t: t.m.loss(np.ma.masked_equal(X, X[0, 0, 0, 0])), "fill it, images.filled(0) say"),
    "objects": (lambda t: t.m.loss(np.array([None, 1])), "images: got a ndarray of mixed things"),
    "to be embedded": (lambda t: t.net.embed(X / 16), "np.rint(images * 16)"),
    "to be binarized": (lambda t: mp.datasets.binarize(X / 16, Q), "np.rint(images * 16)"),
    "to be quantized, a split": (lambda t: mp.datasets.quantize(t.ds.train, Q), "images: got a Split"),
    # --- conditions and labels --------------------------------------------------------------------------------------
    "labels to a model of none": (lambda t: mp.fit(t.m, X, LABELS), "takes no condition; make one with num_classes="),
    "one-hot": (lambda t: mp.fit(t.of_class, X, np.eye(3)[LABELS]), "they are one-hot: condition.argmax(axis=1)"),
    "words": (lambda t: mp.fit(t.of_class, X, np.array(list("abcabc"))), "np.unique(condition, return_inverse=True)[1]"),
    "booleans": (lambda t: mp.fit(t.of_class, X, LABELS > 0), "make numbers of them: condition.astype(int)"),
    "labels from 1": (lambda t: mp.fit(t.of_class, X, LABELS + 1), "got labels 1..3, wanted 0..2; labels count from 0"),
    "halves": (lambda t: mp.fit(t.of_class, X, LABELS / 2), "got float64 of shape (6,), wanted 6 labels, integers"),
    "none": (lambda t: mp.fit(t.of_class, X), "condition: got None, wanted 6 labels, integers (N,) in 0..2"),
    "one, to train": (lambda t: mp.fit(t.of_class, X, 2), "condition: got a single one, wanted one per image"),
    "a list of one": (lambda t: t.of_class.sample(4, [2]), "wanted 4 labels, integers (N,) in 0..2; for the same label for all: condition[0]"),
    "another class": (lambda t: t.of_class.sample(4, 7), "condition: got labels 7..7, wanted 0..2"),
    "a class to a model of none": (lambda t: t.m.sample(4, 7), "condition: got one, wanted None, since this model takes no"),
    "NaN conditions": (lambda t: t.of_vector.sample(2, np.full((2, 2), np.nan)), "condition: got nan, wanted finite numbers"),
    "maps, channels first": (lambda t: t.of_map.loss(X, np.zeros((6, 2, H, W))), "one row per image; channels go last"),
    "predict, no condition": (lambda t: t.of_class.predict(X), "condition: got None, wanted 6 labels"),
    "labels of other images": (lambda t: mp.fit_embedding(t.net, X, LABELS[:5]), "labels: got int64 of shape (5,), wanted 6"),
    "one-hot, embedded": (lambda t: mp.fit_embedding(t.net, X, np.eye(3)[LABELS]), "labels.argmax(axis=1)"),
    # --- sampling and completing ------------------------------------------------------------------------------------
    "n as a text": (lambda t: t.m.sample("16"), "n: got '16', wanted a whole number in 1.."),
    "n as a float": (lambda t: t.m.sample(16.0), "n: got 16.0, wanted a whole number in 1..2147483647; say 16"),
    "no n": (lambda t: t.m.sample(), "sample: got no 'n', wanted sample(n, ...)"),
    "sample, temperatur": (lambda t: t.m.sample(2, temperatur=0.5), "'temperatur'; did you mean 'temperature'?"),
    "sample, labels=": (lambda t: t.of_class.sample(2, labels=[0, 1]), "'labels'; did you mean 'condition'?"),
    "sample, seed=": (lambda t: t.m.sample(2, seed=0), "sample: got an unknown argument 'seed'; did you mean 'rng'?"),
    "a method": (lambda t: t.m.sample(2, method="naiv"), "did you mean 'naive'?"),
    "rng as a text": (lambda t: t.m.sample(2, rng="0"), "rng: got '0', wanted None, a whole number from 0, a SeedSequence"),
    "rng below 0": (lambda t: t.m.sample(2, rng=-1), "rng: got -1, wanted None, a whole number from 0"),
    "rng as a float": (lambda t: mp.fit(t.m, X, rng=1.5), "rng: got 1.5, wanted None, a whole number from 0"),
    "rng of a model": (lambda t: M.PixelCNN((H, W, 1), Q, rng="x"), "rng: got 'x', wanted None"),
    "rng of a loss": (lambda t: t.m.loss(X, rng=object()), "rng: got a builtins.object, wanted None"),
    "rng of binarize": (lambda t: mp.datasets.binarize(X, Q, rng=-2), "rng: got -2, wanted None"),
    "rng of a check": (lambda t: mp.check_causality(t.m, rng="a"), "rng: got 'a', wanted None"),
    "known of levels": (lambda t: t.m.complete(X, X[0, ..., 0]), "wanted True and False of shape (4, 3) or (6, 4, 3); compare: known > 0"),
    "known with channels": (lambda t: t.m.complete(X, KNOWN[..., None]), "not for their channels: known[..., 0]"),
    "mask=": (lambda t: t.m.complete(X, mask=KNOWN), "complete: got an unknown argument 'mask'; did you mean 'known'?"),
    # --- fit --------------------------------------------------------------------------------------------------------
    "no model": (lambda t: mp.fit(X), "fit: got no 'images', wanted fit(model, images, ...)"),
    "an array for a model": (lambda t: mp.fit(X, LABELS), "fit: got a ndarray, wanted a model; such as fit(model, images)"),
    "a class for a model": (lambda t: mp.fit(M.PixelCNN, X), "got the class PixelCNN, wanted a model; make one: PixelCNN(image_"),
    "a network for a model": (lambda t: mp.fit(t.net, X), "an EmbeddingNet learns by fit_embedding"),
    "a model for a network": (lambda t: mp.fit_embedding(t.m, X, LABELS), "wanted an EmbeddingNet; a model learns by fit"),
    "validation_data=": (lambda t: mp.fit(t.m, X, validation_data=X), "'validation_data'; did you mean 'validation'?"),
    "validation_split=": (lambda t: mp.fit(t.m, X, validation_split=0.1), "did you mean 'validation'?"),
    "lr=": (lambda t: mp.fit(t.m, X, lr=0.1), "fit: got an unknown argument 'lr'; did you mean 'optimizer'?"),
    "verbose=": (lambda t: mp.fit(t.m, X, verbose=0), "did you mean 'progress'?"),
    "y=": (lambda t: mp.fit(t.of_class, X, y=LABELS), "did you mean 'condition'?"),
    "shuffle=": (lambda t: mp.fit(t.m, X, shuffle=True), "fit: got an unknown argument 'shuffle', wanted one of model, images, "),
    "epochs by position": (lambda t: mp.fit(t.m, X, None, 10), "wanted at most 3, model, images, condition; name the others: "),
    "epochs=0": (lambda t: mp.fit(t.m, X, epochs=0), "epochs: got 0, wanted a whole number in 1.."),
    "batch_size=64.0": (lambda t: mp.fit(t.m, X, batch_size=64.0), "batch_size: got 64.0, wanted a whole number in 1..2147483647; say 64"),
    "optimizer, misspelled": (lambda t: mp.fit(t.m, X, optimizer="adamm"), "did you mean 'adam'?"),
    "optimizer, the class": (lambda t: mp.fit(t.m, X, optimizer=mp.optim.Adam), "got the class Adam, wanted an object of it; say Adam()"),
    "optimizer, a rate": (lambda t: mp.fit(t.m, X, optimizer=0.01), "optimizer: got 0.01, wanted one of mp.optim; with that learning rate, say Adam(0.01)"),
    "optimizer of others": (lambda t: mp.fit(t.m, X, optimizer=object()), "optimizer: got a object, wanted one of mp.optim, or its name; such as mp.optim.Adam(1e-3)"),
    "optimizer, embedded": (lambda t: mp.fit_embedding(t.net, X, LABELS, optimizer="sdg"), "did you mean 'sgd'?"),
    "callbacks, a class": (lambda t: mp.fit(t.m, X, callbacks=[mp.callbacks.EMA]), "got the class EMA, wanted an object of it; say EMA(...)"),
    "callbacks, one class": (lambda t: mp.fit(t.m, X, callbacks=mp.callbacks.EMA), "got the class EMA, wanted an object of it; say EMA(...)"),
    "callbacks, a function": (lambda t: mp.fit(t.m, X, callbacks=[print]), "derive your own from mp.callbacks.Callback"),
    "validation of 0": (lambda t: mp.fit(t.m, X, validation=0), "wanted images, or a share of them between 0 and 1, such as 0.1"),
    "validation of 20": (lambda t: mp.fit(t.m, X, validation=20), "wanted images, or a share of them between 0 and 1, such as 0.1"),
    "validation, a split": (lambda t: mp.fit(t.fitted, t.ds.train.images, validation=t.ds.validation), "validation: images: got a Split, wanted an array; pass its .images"),
    "validation, three": (lambda t: mp.fit(t.m, X, validation=(X, X, X)), "validation: got 3 things, wanted images, or (images, condition)"),
    "validation, floats": (lambda t: mp.fit(t.m, X, validation=X / 16), "validation: images: got dtype float64"),
    "transform, a text": (lambda t: mp.fit(t.m, X, transform="flip"), "transform: got 'flip', wanted a function of (images, rng)"),
    "workers": (lambda t: mp.fit(t.m, X, workers="all"), "workers: got 'all', wanted a number of threads"),
    # --- what a model is made of, and what it is asked --------------------------------------------------------------
    "hiden=": (lambda t: M.PixelCNN((H, W, 1), Q, hiden=8), "PixelCNN: got an unknown argument 'hiden'; did you mean 'hidden'?"),
    "layers= of a PixelCNN": (lambda t: M.PixelCNN((H, W, 1), Q, layers=8), "PixelCNN: got an unknown argument 'layers'; did you mean 'blocks'?"),
    "filter= of a gated": (lambda t: M.GatedPixelCNN((H, W, 1), Q, filter=8), "GatedPixelCNN: got an unknown argument 'filter'; did you mean 'filters'?"),
    "skips= of a Row LSTM": (lambda t: M.RowLSTM((H, W, 1), Q, skips=True), "RowLSTM: got an unknown argument 'skips'; did you mean 'skip'?"),
    "phantom_colum=": (lambda t: M.DiagonalBiLSTM((H, W, 1), Q, phantom_colum=1), "DiagonalBiLSTM: got an unknown argument 'phantom_colum'; did"),
    "activation=": (lambda t: M.PixelCNN((H, W, 1), Q, activation="Relu"), "wanted one of 'relu', 'prelu'; did you mean 'relu'?"),
    "head=": (lambda t: M.PixelCNN((H, W, 1), Q, head="logistic"), "did you mean 'logistic_mixture'?"),
    "base=": (lambda t: M.MultiScale((H, W, 1), Q, base="rowlstm"), "did you mean 'row-lstm'?"),
    "dtype=": (lambda t: M.PixelCNN((H, W, 1), Q, dtype="float"), "did you mean 'float"),
    "sizes by position": (lambda t: M.PixelCNN(28, 28, 1), "PixelCNN: got 3 arguments by position, wanted at most 2, image_shape, levels"),
    "no levels": (lambda t: M.PixelCNN((28, 28, 1)), "PixelCNN: got no 'levels', wanted PixelCNN(image_shape, levels, ...)"),
    "no channels": (lambda t: M.PixelCNN((28, 28), 2), "image_shape: got (28, 28), wanted (H, W, C), channels last, with C in 1..64: 1 for grey, 3 for red, green, blue; say (28, 28, 1)"),
    "shape, channels first": (lambda t: M.PixelCNN((3, 96, 96), 2), "; say (96, 96, 3)"),
    "shape of all images": (lambda t: M.PixelCNN(X.shape, 2), "; say (4, 3, 1)"),
    "classes by name": (lambda t: M.PixelCNN((8, 8, 1), 2, num_classes=t.ds.classes), "; say how many, 10"),
    "condition_shape, a number": (lambda t: M.PixelCNN((8, 8, 1), 2, condition_shape=5), "wanted (K,) for vectors or (8, 8, K) for maps; say (5,)"),
    "model.fit": (lambda t: t.m.fit(X), "PixelCNN has no 'fit'; mp.fit(model, images) trains it"),
    "model.train": (lambda t: t.m.train(), "there are no modes: dropout is on in fit, and in loss(..., rng=)"),
    "model.eval": (lambda t: t.m.eval(), "there are no modes"),
    "model.cuda": (lambda t: t.m.cuda(), "PixelCNN has no 'cuda'; to('cuda') and to('cpu') move the weights"),
    "model.to(gpu)": (lambda t: t.m.to("gpu"), "device: got 'gpu', wanted 'cpu' or 'cuda'; did you mean 'cuda'?"),
    "model.to(cuda:1)": (lambda t: t.m.to("cuda:1"), "wanted 'cpu' or 'cuda'; CUDA_VISIBLE_DEVICES=1 in the environment chooses"),
    "model.to(0)": (lambda t: t.m.to(0), "device: got 0, wanted 'cpu' or 'cuda'"),
    "model(x)": (lambda t: t.m(X), "PixelCNN is not called; predict(images) gives its parameters"),
    "model.compile": (lambda t: t.m.compile(optimizer="adam"), "mp.fit(model, images, optimizer=...) is all it takes"),
    "model.smaple": (lambda t: t.m.smaple(3), "PixelCNN has no 'smaple'; did you mean 'sample'?"),
    "model.load": (lambda t: t.m.load("x"), "mp.load(path) reads one from a file"),
    "log_prob(y=)": (lambda t: t.of_class.log_prob(X, y=LABELS), "log_prob: got an unknown argument 'y'; did you mean 'condition'?"),
    "load_state_dict(strict=)": (lambda t: t.m.load_state_dict({"stem.kernel": X}), "unknown: stem.kernel; strict=False takes what fits"),
    "load_state_dict(path)": (lambda t: t.m.load_state_dict("m.safetensors"), "state: got 'm.safetensors', wanted a dict of arrays by name"),
    "mp.load(classes=Mine)": (lambda t: mp.load("m.safetensors", classes=M.PixelCNN), "classes: got PixelCNN, wanted classes derived from mp.models.Model, in a list; say [PixelCNN]"),
    "mp.load(classes=[m])": (lambda t: mp.load("m.safetensors", classes=[t.m]), "; say PixelCNN, its class"),
    "mp.load(classes='Mine')": (lambda t: mp.load("m.safetensors", classes="Mine"), "classes: got 'Mine', wanted classes derived"),
    "mp.PixelCNN": (lambda t: mp.PixelCNN, "module 'minipixel' has no 'PixelCNN'; it is mp.models.PixelCNN"),
    "mp.EMA": (lambda t: mp.EMA, "it is mp.callbacks.EMA"),
    "mp.fitt": (lambda t: mp.fitt, "did you mean 'fit'?"),
    # --- optimisers, callbacks, data sets, checks -------------------------------------------------------------------
    "Adam(lr=)": (lambda t: mp.optim.Adam(lr=0.1), "Adam: got an unknown argument 'lr'; did you mean 'learning_rate'?"),
    "Adam(betas=)": (lambda t: mp.optim.Adam(betas=(0.9, 0.99)), "did you mean 'beta1'?"),
    "Adam(parameters)": (lambda t: mp.optim.Adam(t.m.parameters()), "pass the model to fit(model, ..., optimizer=...) or to step(model)"),
    "Adam(model)": (lambda t: mp.optim.Adam(t.m), "pass the model to fit(model, ..., optimizer=...) or to step(model)"),
    "Adam('fast')": (lambda t: mp.optim.Adam("fast"), "learning_rate: got 'fast', wanted a number above 0"),
    "Adam(array)": (lambda t: mp.optim.Adam(np.ones((2, 2))), "learning_rate: got <float64 of shape (2, 2)>, wanted"),
    "cosine_decay": (lambda t: mp.optim.cosine_decay(0.1, 10, warm_up=2), "cosine_decay: got an unknown argument 'warm_up'; did you mean 'warmup'?"),
    "EarlyStopping(mode='auto')": (lambda t: mp.callbacks.EarlyStopping(mode="auto"), "mode: got 'auto', wanted one of 'min', 'max'"),
    "fit(weights=)": (lambda t: mp.fit(t.m, X, weights=np.ones(len(X))), "fit: got an unknown argument 'weights'; did you mean 'sample_weight'?"),
    "fit(class_weight=)": (lambda t: mp.fit(t.m, X, class_weight={0: 2}), "fit: got an unknown argument 'class_weight'; did you mean 'sample_weight'?"),
    "fit(trainable='topp')": (lambda t: mp.fit(t.m, X, trainable="topp"), "trainable: got 'topp', wanted what has weights to train in this model; did you mean 'top'?"),
    "AdamW(decay=)": (lambda t: mp.optim.AdamW(decay=0.1), "AdamW: got an unknown argument 'decay'; did you mean 'weight_decay'?"),
    "ModelCheckpoint(filepath=)": (lambda t: mp.callbacks.ModelCheckpoint(filepath="x"), "did you mean 'path'?"),
    "ModelCheckpoint('model.pt')": (lambda t: mp.callbacks.ModelCheckpoint("model.pt"), "path: got 'model.pt', wanted a folder, or one file *.safetensors"),
    "ds.images": (lambda t: t.ds.images, "Dataset has no 'images'; ds.train.images and ds.test.images are its images"),
    "ds.val": (lambda t: t.ds.val, "Dataset has no 'val'; ds.validation.images are those to validate on"),
    "ds.clases": (lambda t: t.ds.clases, "Dataset has no 'clases'; did you mean 'classes'?"),
    "a set, unpacked": (lambda t: [*t.ds], "Dataset is not unpacked; ds.train, ds.validation and ds.test have .images and .labels each"),
    "load('minst')": (lambda t: mp.datasets.load("minst"), "did you mean 'mnist'?"),
    "load(5)": (lambda t: mp.datasets.load(5), "load: unknown data set 5, wanted one of 'digits'"),
    "load(classes=)": (lambda t: mp.datasets.load("digits", classes=("1",)), "'digits' takes no option 'classes', wanted none; 'quickdraw' does"),
    "load(train=)": (lambda t: mp.datasets.load("digits", train=True), "load: got an unknown argument 'train', wanted one of name, root"),
    "binarize(how=)": (lambda t: mp.datasets.binarize(X, Q, "treshold"), "did you mean 'threshold'?"),
    "a class to check": (lambda t: mp.check_causality(M.PixelCNN), "got the class PixelCNN, wanted a minipixel model, a PyTorch module"),
    "a network to check": (lambda t: mp.check_causality(t.net, (H, W, 1)), "check_causality: got a EmbeddingNet, wanted a minipixel model"),
    "images to check": (lambda t: mp.check_causality(t.m, images=X), "images: got <uint8 of shape (6, 4, 3, 1)>, wanted a whole number"),
    "assert_causal(shape=)": (lambda t: mp.assert_causal(t.m, shape=(H, W, 1)), "did you mean 'image_shape'?"),
    "nn.Dropout()": (lambda t: mp.nn.Dropout(), "Dropout: got no 'rate', wanted Dropout(rate)"),
    "tfp": (lambda t: mp.distributions.PixelCNN((H, W, 1), num_filter=3), "PixelCNN: got an unknown argument 'num_filter'; did you mean 'num_filters'?"),
    "tfp, seed": (lambda t: mp.distributions.PixelCNN((H, W, 1), num_filters=1, num_resnet=1, num_hierarchies=1).sample(seed="a"), "seed: got 'a', wanted None"),
}
# fmt: on

TAKEN = {
    "booleans of 2 levels": lambda t: (t.two.log_prob(X > 8), t.two.log_prob((X > 8).astype(np.uint8))),
    "lists": lambda t: (t.m.log_prob(X.tolist()), t.m.log_prob(X)),
    "a list of images": lambda t: (t.m.log_prob(list(X)), t.m.log_prob(X)),
    "a Tensor of ours": lambda t: (t.m.log_prob(mp.Tensor(X)), t.m.log_prob(X)),
    "a Tensor on a GPU": lambda t: (t.m.log_prob(LikeTorch(X)), t.m.log_prob(X)),
    "a list of Tensors": lambda t: (t.m.log_prob([LikeTorch(x) for x in X]), t.m.log_prob(X)),
    "grey pictures": lambda t: (t.m.log_prob(pictures(X, "L")), t.m.log_prob(X)),
    "pictures in colour": lambda t: (t.rgb.log_prob(pictures(RGB, "RGB")), t.rgb.log_prob(RGB)),
    "a picture": lambda t: (t.rgb.log_prob(pictures(RGB, "RGB")[0]), t.rgb.log_prob(RGB[:1])),
    "pictures of two levels": lambda t: (
        t.two.log_prob([Image.fromarray(x[..., 0] > 8) for x in X]),
        t.two.log_prob((X > 8).astype(np.uint8)),
    ),
    "labels as a column": lambda t: (t.of_class.log_prob(X, LABELS[:, None]), t.of_class.log_prob(X, LABELS)),
    "labels as floats": lambda t: (t.of_class.log_prob(X, LABELS * 1.0), t.of_class.log_prob(X, LABELS)),
    "labels as a list": lambda t: (t.of_class.log_prob(X, LABELS.tolist()), t.of_class.log_prob(X, LABELS)),
    "labels of pandas": lambda t: (t.of_class.log_prob(X, Series(LABELS)), t.of_class.log_prob(X, LABELS)),
    "labels on a GPU": lambda t: (t.of_class.log_prob(X, LikeTorch(LABELS)), t.of_class.log_prob(X, LABELS)),
    "labels of a network": lambda t: (t.net.loss(X, LABELS[:, None]).data, t.net.loss(X, LABELS).data),
    "one label for all": lambda t: (t.of_class.sample(3, 2, rng=0), t.of_class.sample(3, [2, 2, 2], rng=0)),
    "one vector for all": lambda t: (t.of_vector.sample(3, (1, 2), rng=0), t.of_vector.sample(3, [(1, 2)] * 3, rng=0)),
    "one map for all": lambda t: (
        t.of_map.log_prob(X, np.ones((H, W, 2))),
        t.of_map.log_prob(X, np.ones((6, H, W, 2))),
    ),
    "known of 0 and 1": lambda t: (t.m.complete(X, KNOWN.astype(int), rng=0), t.m.complete(X, KNOWN, rng=0)),
    "known as a list": lambda t: (t.m.complete(X, KNOWN.tolist(), rng=0), t.m.complete(X, KNOWN, rng=0)),
    "binarize a list": lambda t: (mp.datasets.binarize(X.tolist(), Q), mp.datasets.binarize(X, Q)),
}
