// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package encode_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/gizmo-ebpf/gizmo/encode"
	"github.com/gizmo-ebpf/gizmo/event"
)

// The oracle computes the meaning of a record in the simplest way. The output of json and yaml, read by
// other libraries, must be the same.

// float is a float that the oracle expects, of so many bits.
type float struct {
	f    float64
	bits int
}

// meaning returns the object that a row means.
func meaning(b *event.Batch, row int) map[string]any {
	root := map[string]any{}
	for i := range b.Schema.Fields {
		f := &b.Schema.Fields[i]
		if f.Kind == event.Struct || strings.HasPrefix(f.Base(), "__") || strings.Contains(f.Name, "__private") || f.Ann.SkipJSON {
			continue
		}
		at := root
		parts := strings.Split(validText(f.Name), ".")
		for _, p := range parts[:len(parts)-1] {
			if _, ok := at[p].(map[string]any); !ok {
				at[p] = map[string]any{}
			}
			at = at[p].(map[string]any)
		}
		at[parts[len(parts)-1]] = fieldMeaning(f, b, row)
	}
	return root
}

func fieldMeaning(f *event.Field, b *event.Batch, row int) any {
	rec := b.Rows[row]
	switch {
	case f.Text != nil:
		return textMeaning(f, string(f.Text(nil, b, row)))
	case f.Table != nil:
		return columnMeaning(f, b, row)
	case f.Rest:
		return rawMeaning(f.Kind, rec[f.Off:])
	case f.BitSize > 0:
		return bitsMeaning(f, rec)
	case f.Count == 0:
		return rawMeaning(f.Kind, rec[f.Off:f.Off+f.Size])
	}
	var list []any
	for p := range slices.Chunk(rec[f.Off:f.Off+f.Size], int(f.ElemSize())) {
		list = append(list, rawMeaning(f.Kind, p))
	}
	return list
}

func columnMeaning(f *event.Field, b *event.Batch, row int) any {
	col, _ := f.Column()
	h := col.At(b, row)
	switch {
	case h == 0 && f.Kind != event.String && f.Kind != event.Bytes:
		return nil
	case h == 0:
		return ""
	case f.Kind == event.String:
		return validText(string(f.Table.Bytes(h)))
	case f.Kind == event.Bytes:
		return hex.EncodeToString(f.Table.Bytes(h))
	}
	return rawMeaning(f.Kind, binary.LittleEndian.AppendUint64(nil, f.Table.Bits(h)))
}

func textMeaning(f *event.Field, text string) any {
	kind := f.Kind
	if f.Count > 0 {
		kind = event.String
	}
	switch kind {
	case event.Uint, event.Int, event.Float:
		if text != "" && strings.Contains("-0123456789", text[:1]) && json.Valid([]byte(text)) && strings.TrimSpace(text) == text {
			return json.Number(text)
		}
		return nil
	case event.Bool:
		if text == "true" || text == "false" {
			return text == "true"
		}
		return nil
	}
	return validText(text)
}

// validText replaces each byte that is not UTF-8.
func validText(s string) string { return string([]rune(s)) }

func rawMeaning(kind event.Kind, p []byte) any {
	switch kind {
	case event.Uint, event.Int:
		return json.Number(integer(p, len(p)*8, kind == event.Int).String())
	case event.Bool:
		return slices.ContainsFunc(p, func(c byte) bool { return c != 0 })
	case event.String:
		text, _, _ := strings.Cut(string(p), "\x00")
		return validText(text)
	case event.Float:
		switch len(p) {
		case 4:
			return float{float64(math.Float32frombits(binary.LittleEndian.Uint32(p))), 32}
		case 8:
			return float{math.Float64frombits(binary.LittleEndian.Uint64(p)), 64}
		}
	}
	return hex.EncodeToString(p)
}

// integer reads a little-endian number of so many bits.
func integer(p []byte, width int, signed bool) *big.Int {
	bigEndian := slices.Clone(p)
	slices.Reverse(bigEndian)
	v := new(big.Int).SetBytes(bigEndian)
	if signed && v.Bit(width-1) == 1 {
		v.Sub(v, new(big.Int).Lsh(big.NewInt(1), uint(width)))
	}
	return v
}

func bitsMeaning(f *event.Field, rec []byte) any {
	v := integer(rec[f.Off:f.Off+f.Size], 0, false)
	v.Rsh(v, uint(f.BitOff))
	v.And(v, new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), uint(f.BitSize)), big.NewInt(1)))
	if f.Kind == event.Bool {
		return v.Sign() != 0
	}
	if f.Kind == event.Int && v.Bit(int(f.BitSize)-1) == 1 {
		v.Sub(v, new(big.Int).Lsh(big.NewInt(1), uint(f.BitSize)))
	}
	return json.Number(v.String())
}

// differs returns where got, as read from the output, differs from the oracle's result, or "".
func differs(want, got any) string {
	switch want := want.(type) {
	case map[string]any:
		object, ok := got.(map[string]any)
		if !ok || len(object) != len(want) {
			return fmt.Sprintf(": got %v, want %v", got, want)
		}
		for key, w := range want {
			if d := differs(w, object[key]); d != "" {
				return fmt.Sprintf(".%q%s", key, d)
			}
		}
		return ""
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(want) {
			return fmt.Sprintf(": got %v, want %v", got, want)
		}
		for i, w := range want {
			if d := differs(w, list[i]); d != "" {
				return fmt.Sprintf("[%d]%s", i, d)
			}
		}
		return ""
	case float:
		if sameFloat(want, got) {
			return ""
		}
	default:
		if got == want {
			return ""
		}
	}
	return fmt.Sprintf(": got %#v, want %#v", got, want)
}

// sameFloat takes null for NaN and the infinities, which JSON does not have.
func sameFloat(want float, got any) bool {
	token, ok := got.(json.Number)
	if !ok {
		return got == nil && (math.IsNaN(want.f) || math.IsInf(want.f, 0))
	}
	f, err := strconv.ParseFloat(strings.Replace(string(token), ".inf", "inf", 1), want.bits)
	if token == ".nan" {
		f, err = math.NaN(), nil
	}
	return err == nil && (math.Float64bits(f) == math.Float64bits(want.f) || math.IsNaN(f) && math.IsNaN(want.f))
}

func readJSON(out []byte) (docs []any, err error) {
	dec := json.NewDecoder(bytes.NewReader(out))
	dec.UseNumber()
	for {
		var v any
		if err := dec.Decode(&v); err == io.EOF {
			return docs, nil
		} else if err != nil {
			return nil, err
		}
		docs = append(docs, v)
	}
}

func readYAML(out []byte) (docs []any, err error) {
	dec := yaml.NewDecoder(bytes.NewReader(out))
	for {
		var n yaml.Node
		if err := dec.Decode(&n); err == io.EOF {
			return docs, nil
		} else if err != nil {
			return nil, err
		}
		docs = append(docs, yamlValue(n.Content[0]))
	}
}

// yamlValue turns a node into what a JSON decoder would return. Numbers keep their text.
func yamlValue(n *yaml.Node) any {
	switch n.Kind {
	case yaml.MappingNode:
		object := map[string]any{}
		for i := 0; i < len(n.Content); i += 2 {
			if _, twice := object[n.Content[i].Value]; twice || n.Content[i].ShortTag() != "!!str" {
				return fmt.Sprintf("bad key %q", n.Content[i].Value)
			}
			object[n.Content[i].Value] = yamlValue(n.Content[i+1])
		}
		return object
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i := range n.Content {
			list[i] = yamlValue(n.Content[i])
		}
		return list
	}
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		return n.Value == "true"
	case "!!int", "!!float":
		return json.Number(n.Value)
	}
	if _, err := strconv.ParseFloat(n.Value, 64); err != nil && strings.Contains(err.Error(), "range") && n.Style == 0 {
		return json.Number(n.Value) // the library has no type for numbers beyond those of Go
	}
	return n.Value
}

// agree fails the test unless every nested format gives the oracle's result for the batch.
func agree(t testing.TB, b *event.Batch) {
	t.Helper()
	var want []any
	for row := range b.Rows {
		want = append(want, meaning(b, row))
	}
	if !b.Schema.Single {
		want = []any{slices.Clip(append([]any{}, want...))}
	}
	readers := map[string]func([]byte) ([]any, error){"json": readJSON, "jsonpretty": readJSON, "yaml": readYAML}
	for name, read := range readers {
		f, err := encode.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		out := bind(t, f, b.Schema, encode.Options{}).Append(nil, b)
		got, err := read(out)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		if d := differs(want, append([]any{}, got...)); d != "" {
			t.Fatalf("%s: %s\n%s", name, d, out)
		}
		if err := check(name, out, b.Schema.Single, len(b.Rows)); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		if name == "json" {
			sortedKeys(t, out)
		}
	}
}

// sortedKeys fails the test unless encoding/json, which sorts keys and keeps numbers as they are
// here, has nothing to change but escapes.
func sortedKeys(t testing.TB, out []byte) {
	t.Helper()
	docs, _ := readJSON(out)
	for line := range bytes.Lines(out) {
		var ours, theirs []string
		if err := keysInOrder(json.NewDecoder(bytes.NewReader(line)), &ours); err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(docs[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := keysInOrder(json.NewDecoder(bytes.NewReader(again)), &theirs); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(ours, theirs) {
			t.Fatalf("keys %q are not sorted", ours)
		}
		docs = docs[1:]
	}
}

// keysInOrder lists all strings and brackets of a document.
func keysInOrder(dec *json.Decoder, keys *[]string) error {
	dec.UseNumber()
	for {
		token, err := dec.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		*keys = append(*keys, fmt.Sprint(token))
	}
}

func TestNestedFormatsAgreeWithTheOracle(t *testing.T) {
	t.Parallel()
	for _, single := range []bool{true, false} {
		r := rand.New(rand.NewPCG(9, 10))
		for _, text := range hostileTexts {
			bytes := []byte(text)
			s := everything(single, &bytes)
			for _, rows := range []int{0, 2} {
				agree(t, randomBatch(s, r, rows))
			}
		}
		s := traceOpen()
		s.Single = single
		agree(t, traceOpenBatch(s, 50))
	}
}

func TestExtremeNumbers(t *testing.T) {
	t.Parallel()
	var text []byte
	s := everything(true, &text)
	b := &event.Batch{Schema: s}
	for _, pattern := range []string{
		"\xff", "\x80", "\x7f", "\x00\x00\xc0\x7f", "\x00\x00\x80\x7f", "\x00\x00\x80\xff", // NaN and infinities of 32 bits
		"\x00\x00\x00\x00\x00\x00\xf8\x7f", "\x00\x00\x00\x00\x00\x00\xf0\x7f", "\x00\x00\x00\x00\x00\x00\xf0\xff",
		"\x00\x00\x00\x80", "\x01\x00\x00\x00", "\xff\xff\x7f\x7f", "\x00\x00\x00\x00\x00\x00\x00\x80", "\x09", "\x0a", "\x64\x00",
	} {
		rec := []byte(strings.Repeat(pattern, int(s.Size)))[:s.Size]
		b.Rows = append(b.Rows, rec)
	}
	agree(t, b)
}
