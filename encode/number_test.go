// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package encode

import (
	"encoding/json"
	"math"
	"math/big"
	"math/rand/v2"
	"strconv"
	"testing"
)

// edges are the numbers around each power of ten, and some of any length.
func edges() []uint64 {
	out := []uint64{0, math.MaxUint64, math.MaxInt64, 1 << 63}
	for p := uint64(1); p <= 1e19; p *= 10 {
		out = append(out, p-1, p, p+1, 5*p)
		if p == 1e19 {
			break
		}
	}
	r := rand.New(rand.NewPCG(1, 1))
	for range 20000 {
		out = append(out, r.Uint64()>>r.UintN(64))
	}
	return out
}

func TestAppendIntegers(t *testing.T) {
	t.Parallel()
	for _, v := range edges() {
		if got, want := string(appendUint([]byte("x"), v)), "x"+strconv.FormatUint(v, 10); got != want {
			t.Errorf("appendUint: got %s, want %s", got, want)
		}
		for _, i := range []int64{int64(v), -int64(v)} {
			if got, want := string(appendInt([]byte("x"), i)), "x"+strconv.FormatInt(i, 10); got != want {
				t.Errorf("appendInt: got %s, want %s", got, want)
			}
		}
	}
}

func TestAppendIntegersOf128Bits(t *testing.T) {
	t.Parallel()
	values := edges()[:90]
	for _, high := range values {
		for _, low := range values {
			v := new(big.Int).SetUint64(high)
			v.Lsh(v, 64).Add(v, new(big.Int).SetUint64(low))
			if got := string(appendUint128([]byte("x"), high, low)); got != "x"+v.String() {
				t.Fatalf("appendUint128: got %s, want %s", got, v)
			}
			if high>>63 == 1 {
				v.Sub(v, new(big.Int).Lsh(big.NewInt(1), 128))
			}
			if got := string(appendInt128([]byte("x"), high, low)); got != "x"+v.String() {
				t.Fatalf("appendInt128: got %s, want %s", got, v)
			}
		}
	}
}

func TestAppendFloat(t *testing.T) {
	t.Parallel()
	two := 2
	for _, c := range []struct {
		f         float64
		bits      int
		precision *int
		want      string
	}{
		{0, 64, nil, "0"},
		{math.Copysign(0, -1), 64, nil, "-0"},
		{0.1, 64, nil, "0.1"},
		{float64(float32(0.1)), 32, nil, "0.1"},
		{1e20, 64, nil, "100000000000000000000"},
		{1e21, 64, nil, "1e+21"},
		{1e-6, 64, nil, "0.000001"},
		{1e-7, 64, nil, "1e-07"},
		{1.005, 64, &two, "1.00"},
		{2.0 / 3, 64, &two, "0.67"},
		{math.NaN(), 64, &two, "NaN"},
		{math.Inf(1), 64, nil, "+Inf"},
		{math.Inf(-1), 64, nil, "-Inf"},
	} {
		if got := string(appendFloat(nil, c.f, c.bits, c.precision, &columnWords)); got != c.want {
			t.Errorf("%v: got %s, want %s", c.f, got, c.want)
		}
	}
}

func FuzzIsNumber(f *testing.F) {
	for _, s := range []string{"", "0", "-0", "-", "00", "1.", ".1", "1e", "1e+", "1E-9", "1.25e+10", " 1", "1 ", "+1", "true", "1_0"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		number := len(p) > 0 && (p[0] == '-' || p[0] >= '0' && p[0] <= '9')
		last := len(p) > 0 && p[len(p)-1] >= '0' && p[len(p)-1] <= '9'
		if got, want := isNumber(p), number && last && json.Valid(p); got != want {
			t.Errorf("%q: got %v, want %v", p, got, want)
		}
	})
}
