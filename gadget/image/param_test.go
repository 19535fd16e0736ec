// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package image

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
)

func number(kind event.Kind, size uint32) Param {
	return Param{Key: "p", field: event.Field{Kind: kind, Size: size}}
}

func enum(size uint32, signed bool, values ...event.EnumValue) Param {
	p := number(event.Uint, size)
	if signed {
		p.field.Kind = event.Int
	}
	p.field.Enum = &event.Enum{Name: "colour", Signed: signed, Values: values}
	return p
}

func colours(size uint32) Param {
	return enum(size, false, event.EnumValue{Name: "RED"}, event.EnumValue{Name: "GREEN", Value: 5})
}

func turns(size uint32) Param {
	return enum(size, true, event.EnumValue{Name: "LEFT", Value: math.MaxUint64}, event.EnumValue{Name: "RIGHT", Value: 1})
}

func TestParamParse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		p    Param
		text string
		want uint64
	}{
		{number(event.Uint, 1), "0", 0},
		{number(event.Uint, 1), "255", 255},
		{number(event.Uint, 2), "65535", 65535},
		{number(event.Uint, 4), "4294967295", math.MaxUint32},
		{number(event.Uint, 8), "18446744073709551615", math.MaxUint64},
		{number(event.Uint, 4), "0xdeadBEEF", 0xdeadbeef},
		{number(event.Uint, 4), "0o17", 15},
		{number(event.Uint, 4), "0b101", 5},
		{number(event.Int, 1), "-128", 0x80},
		{number(event.Int, 1), "127", 127},
		{number(event.Int, 2), "-32768", 0x8000},
		{number(event.Int, 4), "-2147483648", 1 << 31},
		{number(event.Int, 8), "-9223372036854775808", 1 << 63},
		{number(event.Int, 8), "9223372036854775807", math.MaxInt64},
		{number(event.Int, 4), "-0x10", 0xfffffff0},
		{number(event.Bool, 1), "true", 1},
		{number(event.Bool, 1), "1", 1},
		{number(event.Bool, 1), "false", 0},
		{number(event.Float, 4), "1.5", uint64(math.Float32bits(1.5))},
		{number(event.Float, 4), "-inf", uint64(math.Float32bits(float32(math.Inf(-1))))},
		{number(event.Float, 8), "0.1", math.Float64bits(0.1)},
		{number(event.Float, 8), "-1e300", math.Float64bits(-1e300)},
		{colours(4), "GREEN", 5},
		{colours(4), "7", 7}, // numbers need no name
		{colours(4), "0xffffffff", math.MaxUint32},
		{colours(1), "255", 255},
		{colours(8), "18446744073709551615", math.MaxUint64},
		{turns(4), "LEFT", math.MaxUint32},
		{turns(4), "-1", math.MaxUint32},
		{turns(4), "-2147483648", 1 << 31},
		{turns(8), "-1", math.MaxUint64},
	} {
		got, err := c.p.Parse(c.text)
		if err != nil {
			t.Errorf("%s %q: %v", c.p.Type(), c.text, err)
			continue
		}
		want := binary.LittleEndian.AppendUint64(nil, c.want)[:c.p.field.Size]
		if !bytes.Equal(got, want) {
			t.Errorf("%s %q: % x, want % x", c.p.Type(), c.text, []byte(got), want)
		}
	}
}

func TestParamParseErrors(t *testing.T) {
	t.Parallel()
	str := number(event.String, 4)
	one := number(event.Uint, 4)
	one.OneOf = []string{"1", "2"}
	for _, c := range []struct {
		p          Param
		text, want string
	}{
		{number(event.Uint, 1), "256", `"256" is not a number from 0 to 255`},
		{number(event.Uint, 2), "65536", `"65536" is not a number from 0 to 65535`},
		{number(event.Uint, 4), "4294967296", `"4294967296" is not a number from 0 to 4294967295`},
		{number(event.Uint, 8), "18446744073709551616", `"18446744073709551616" is not a number from 0 to 18446744073709551615`},
		{number(event.Uint, 8), "-1", `"-1" is not a number from 0 to 18446744073709551615`},
		{number(event.Uint, 4), "", `"" is not a number from 0 to 4294967295`},
		{number(event.Uint, 4), " 1", `" 1" is not a number from 0 to 4294967295`},
		{number(event.Uint, 4), "0xg", `"0xg" is not a number from 0 to 4294967295`},
		{number(event.Int, 1), "128", `"128" is not a number from -128 to 127`},
		{number(event.Int, 1), "-129", `"-129" is not a number from -128 to 127`},
		{number(event.Int, 2), "32768", `"32768" is not a number from -32768 to 32767`},
		{number(event.Int, 4), "2147483648", `"2147483648" is not a number from -2147483648 to 2147483647`},
		{number(event.Int, 8), "9223372036854775808", `"9223372036854775808" is not a number from -9223372036854775808 to 9223372036854775807`},
		{number(event.Bool, 1), "yes", `"yes" is neither true nor false`},
		{number(event.Float, 4), "1e39", `"1e39" is not a number of 32 bits`},
		{number(event.Float, 8), "1,5", `"1,5" is not a number of 64 bits`},
		{str, "four", `"four" has 4 bytes; at most 3 fit`},
		{str, "ä\x00", `"ä\x00" holds a NUL byte`},
		{colours(4), "GREN", `enum colour has no "GREN"; did you mean "GREEN"?`},
		{colours(4), "nothing like it", `enum colour has no "nothing like it"`},
		{colours(4), "4294967296", `enum colour has no "4294967296"`},
		{colours(4), "-4294967296", `enum colour has no "-4294967296"`},
		{colours(1), "256", `enum colour has no "256"`},
		{turns(4), "2147483648", `enum colour has no "2147483648"`},
		{one, "3", `"3" is none of 1, 2`},
	} {
		v, err := c.p.Parse(c.text)
		want := `param "p": ` + c.want
		if err == nil || err.Error() != want {
			t.Errorf("%s: got % x, %v\nwant %s", c.p.Type(), []byte(v), err, want)
		}
	}
}

func TestParamParseString(t *testing.T) {
	t.Parallel()
	p := number(event.String, 4)
	for text, want := range map[string]string{"": "\x00\x00\x00\x00", "a": "a\x00\x00\x00", "abc": "abc\x00", "\xff\xfe": "\xff\xfe\x00\x00"} {
		if got, err := p.Parse(text); err != nil || string(got) != want {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
}

func TestParamTypes(t *testing.T) {
	t.Parallel()
	var got []string
	for _, p := range []Param{
		number(event.Uint, 1), number(event.Int, 8), number(event.Float, 4), number(event.Bool, 1), number(event.String, 16), colours(4),
	} {
		got = append(got, p.Type())
	}
	if want := "uint8 int64 float32 bool string colour"; strings.Join(got, " ") != want {
		t.Errorf("got %q, want %s", got, want)
	}
}

func TestFormatIsInverseOfParse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		p    Param
		text string
	}{
		{number(event.Uint, 8), "18446744073709551615"}, {number(event.Int, 2), "-32768"}, {number(event.Bool, 1), "true"},
		{number(event.Float, 4), "0.1"}, {number(event.Float, 8), "-1e-300"}, {number(event.String, 8), "text"}, {number(event.String, 8), ""},
		{colours(4), "GREEN"}, {colours(2), "9"}, {turns(4), "LEFT"}, {turns(8), "-5"}, {turns(1), "-128"},
	} {
		v, err := c.p.Parse(c.text)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.p.format(v); got != c.text {
			t.Errorf("%s: %q became %q", c.p.Type(), c.text, got)
		}
	}
	p := number(event.Uint, 4)
	if got := p.format(Value{1}); got != "" {
		t.Errorf("of too few bytes: %q", got)
	}
}

// A value that would let the events of all pass is refused: in a script it is the result of an empty look-up.
func TestFilterIsNotSwitchedOff(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		variable  string
		off, text string
		want      string // of the value's bytes; empty: refused
	}{
		{"targ_pid", "\x00\x00\x00\x00", "0", ""},
		{"targ_pid", "\x00\x00\x00\x00", "0x0", ""},
		{"targ_pid", "\x00\x00\x00\x00", "7", "\x07\x00\x00\x00"},
		{"targ_uid", "\xff\xff\xff\xff", "4294967295", ""},
		{"targ_uid", "\xff\xff\xff\xff", "0", "\x00\x00\x00\x00"},
		{"targ_comm", strings.Repeat("\x00", 16), "", ""},
		{"targ_comm", strings.Repeat("\x00", 16), "a-name-of-more-than-15-bytes", "a-name-of-more-\x00"},
		{"targ_comm", strings.Repeat("\x00", 16), "exactly-15-byte", "exactly-15-byte\x00"},
	} {
		p := Param{Var: c.variable, Key: c.variable, field: event.Field{Kind: event.Uint, Size: 4}, off: Value(c.off)}
		if len(c.off) == 16 {
			p.field = event.Field{Kind: event.String, Size: 16}
		}
		v, err := p.Parse(c.text)
		switch {
		case c.want == "" && (err == nil || !strings.Contains(err.Error(), "would turn the filter off")):
			t.Errorf("%s=%q: %x, %v", c.variable, c.text, v, err)
		case c.want != "" && (err != nil || string(v) != c.want):
			t.Errorf("%s=%q: %q, %v; want %q", c.variable, c.text, v, err, c.want)
		}
	}
}
