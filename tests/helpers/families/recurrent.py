"""Networks with a state."""

from torch import Tensor, nn

from families.layers import conv


class Recurrent(nn.Module):
    def __init__(self, w: int, kind: type[nn.Module] = nn.LSTM, both: bool = False) -> None:
        super().__init__()
        self.rnn = kind(12, 2 * w, num_layers=2, batch_first=True, bidirectional=both)
        self.head = nn.Linear(2 * w * (2 if both else 1), 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0][:, -1])


class Crnn(nn.Module):
    """Convolutions, then recurrence over the image's columns."""

    def __init__(self, w: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(1, w), nn.MaxPool2d(2), conv(w, 2 * w), nn.MaxPool2d((2, 1)))
        self.rnn, self.head = nn.GRU(2 * w * 4, 2 * w, bidirectional=True), nn.Linear(4 * w, 11)

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(x)
        b, c, h, w = x.shape
        return self.head(self.rnn(x.permute(3, 0, 1, 2).reshape(w, b, c * h))[0]).log_softmax(-1)
