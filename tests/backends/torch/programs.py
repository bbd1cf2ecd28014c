"""Small programs that together use every kind of statement and every claimed block."""

PROGRAMS = {
    "LeNet": """
        net LeNet(classes: int = 10)(image: float[B, 1, 12, 12]) -> float[B, classes] {
          return image -> conv1: Conv2d(3, 5, padding=2) -> tanh -> avg_pool2d(2)
            -> conv2: Conv2d(4, 5) -> relu -> max_pool2d(2) -> flatten
            -> fc1: Linear(12) -> tanh -> fc2: Linear(classes)
        }
    """,
    "Mlp": """
        net Mlp(widths: list[int] = [8, 6, 5], p: float = 0.25)(x: float[B, 4]) -> float[B, 3] {
          for i, width in enumerate(widths) {
            x = x -> fc: Linear(width, use_bias=i > 0) -> norm: LayerNorm()
            if i < 2 { x = x -> relu -> dropout(p) }
          }
          return x -> head: Linear(3)
        }
    """,
    "Normed": """
        net Normed()(image: float[B, 4, 9, 7]) -> (y: float[B, 6], z: float[B, 2, 18, 14]) {
          x = image -> c1: Conv2d(4, 3, padding="same", groups=2) -> bn: BatchNorm2d(momentum=0.3)
          y = x -> c2: Conv2d(6, 3, stride=2, padding="same") -> relu6 -> global_max_pool
          s = rearrange(image, "b c h w -> b c (h w)") -> k1: Conv1d(6, 3, padding="causal", dilation=2)
                -> bn1: BatchNorm1d() -> k2: Conv1d(6, 3, stride=2, padding=1)
          y = y + mean(s, axis=-1) -> rms: RMSNorm() -> ln: LayerNorm(use_bias=false)
          z = image -> gn: GroupNorm(2) -> slope: PReLU2d() -> up: ConvTranspose2d(2, 4, stride=2, padding=1)
          return y, z
        }
    """,
    "Damped": """
        net Damped()(x: float[B, 3], ts: float[4]) -> float[B, 3] {
          scan t in ts along 0 carry x { x = t * (tanh(1.0 - t) + exp(1.0 - t)) * x }
          scan k in range(2) carry x { x = relu(x) + 1.0 }
          return x
        }
    """,
    "Shrinking": """
        net Shrinking()(x: float[B, 3, 4, 2], ids: int[B, 2]) -> (y: float[B, 4], z: float[B, 2, 4, 2]) {
          h = relu(x)
          h = prod(h, axis=[1, -1])
          return h, take_each(x, ids * 0 + 2)
        }
    """,
    "Recurrent": """
        net Recurrent()(x: float[B, T, 3], h0: float[B, 4]) -> float[B, T, 8] {
          a, h, c = x -> lstm: LSTM(4)
          b, g = x -> gru: GRU(4, reverse=true)
          r = x -> gru2: GRU(4)(h0)
          q = x -> lstm2: LSTM(4, reverse=true)
          s = x -> lstm3: LSTM(4)(h0, g)
          u = x -> elman: SimpleRNN(4, reverse=true)(h=h0)
          b = b * s.out + u.out + rearrange(h * c + g, "b d -> b 1 d")
          return concat([a + r.out * q.out, b], axis=-1)
        }
    """,
    "Masked": """
        net Masked()(x: float[B, T, 3], live: bool[B, T]) -> (out: float[B, T, 8], last: float[B, 4]) {
          a = x -> fwd: LSTM(4)(mask=live)
          b = x -> bwd: LSTM(4, reverse=true)(mask=live)
          return concat([a.out, b.out], axis=-1), a.c
        }
    """,
    "Listed": """
        net Listed(widths: list[int] = [3, 5], size: int = 4)(x: float[B, 4], z: float[B, 4]) -> float[B, 4] {
          fcs = [Linear(size) for _ in widths]
          for i, fc in enumerate(fcs) { x = x + fc(x)[:, i:i + 1] * z[:, i + 1:i + 2] }
          for y, w in zip([x, z], widths) { x = x + w * y }
          for w, fc in zip(widths, reversed(fcs)) { x = x + w * tanh(fc(x)) }
          return x
        }
    """,
    "Attentive": """
        from std.attention import MultiHeadAttention, rope
        net Attentive(heads: int = 2, layers: int = 2)(ids: int[B, T], live: bool[B, T]) -> float[B, T, 11] {
          embed = Embedding(11, 8)
          x = embed(ids)
          for _ in range(layers) {
            x = x + (x -> ln: LayerNorm() -> attn: MultiHeadAttention(heads, causal=true, drop=0.1))
          }
          m = rearrange(live, "b t -> b 1 1 t")
          x = x + (x -> cross: MultiHeadAttention(heads)(x, m))
          q = rearrange(x, "b t (h k) -> b h t k", h=heads) -> rope
          return rearrange(q, "b h t k -> b t (h k)") @ transpose(embed.weight)
        }
    """,
    "Sliced": """
        block Stack(widths: list[int])(x: float[B, D]) -> float[B, widths[-1]] {
          for width in widths { x = x -> fc: Linear(width) -> tanh }
          return x
        }
        fn turned(x: float[B, A, C], axes: list[int], axis: int) -> float[...] {
          return flip(transpose(x, axes), axis)
        }
        net Sliced(a: list[int] = [5, 4], b: list[int] = [6, 3])(x: float[B, 4], i: int[B]) -> float[B, 17] {
          parts = [x -> one: Stack(a) -> two: Stack(b)]
          for k in range(1, 4) {
            parts = parts + [rearrange(x[:, k], "b -> b 1") * k + x[:, :k] -> fc: Linear(k)]
          }
          y = rearrange(stack([x[:, k] for k in range(4)]), "k b -> b k 1") * rearrange(x, "b k -> b 1 k")
          z = turned(y, [0, 2, 1], 1) + turned(y, [0, 1, 2], 2)
          s = take(segment_max(x, i, 4), i) + segment_softmax(x, i, 4) * take(segment_mean(x, i, 4), i)
          return concat(parts + [s, mean(z, axis=1)], axis=1)
        }
    """,
    "Biased": """
        from std.attention import attention
        block Scored(heads: int)(x: float[B, T, D], mask: bool[*M], bias: float[*P]? = none)
            -> (y: float[B, T, D], lead: float[B, T]) {
          h = rearrange(x, "b t (h k) -> b h t k", h=heads)
          y = attention(h, h, h, mask=mask, bias=bias) -> rearrange("b h t k -> b t (h k)")
          best = top_k(y, 2)
          return y, best.values[..., 0] - best.values[..., 1]
        }
        net Biased(heads: int = 2)
            (x: float[B, T, 4], live: bool[B, T], bias: float[1, heads, T, T]) -> float[] {
          mask = rearrange(live, "b t -> b 1 1 t")
          r = x -> a: Scored(heads)(mask, bias)
          q = r.y -> b: Scored(heads)(mask)
          return cross_entropy(q.y, argmax(x)) + mean(q.lead * r.lead)
        }
    """,
    "Walk": """
        net Walk(steps: int = 3)(x: float[B, 4]) -> float[B, 4] {
          param speed: float[4] ~ normal(1.0, 0.1)
          state seen: float[4] ~ zeros()
          const pace = linspace(0.1, 0.5, steps)
          scan k in range(steps) carry x {
            sample noise: float[B, 4] ~ normal(0.0, 0.1)
            x = x + take(pace, k) * speed * noise
          }
          y = x + seen
          if training { update seen = 0.9 * seen + 0.1 * mean(x, axis=0) }
          return y
        }
    """,
}
