// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/gizmo-ebpf/gizmo/encode"
)

var noOptions encode.Options

// parse reads a row back into a record.
func parse(t testing.TB, row []byte, r *record) {
	t.Helper()
	if err := binary.Read(bytes.NewReader(row), binary.LittleEndian, r); err != nil {
		t.Fatal(err)
	}
}

// object is a JSON object as encoding/json reads it, with numbers as they were written.
type object = map[string]any

// decodeLines reads the objects of text. Anything else in it is an error.
func decodeLines(t testing.TB, text string) []object {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var all []object
	for {
		var o object
		err := d.Decode(&o)
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatalf("event %d: %v", len(all), err)
		}
		all = append(all, o)
	}
}

// decodeEvents writes the rows as json and parses it: one event for each row.
func decodeEvents(t testing.TB, k taken, o encode.Options) []object {
	t.Helper()
	events := decodeLines(t, k.encode(t, "json", o))
	if len(events) != len(k.rows) {
		t.Fatalf("%d events of %d rows", len(events), len(k.rows))
	}
	return events
}

// Each field of each event has the value that the standard library reads from its record.
func TestJSONIsWhatTheRecordSays(t *testing.T) {
	t.Parallel()
	k := replay(t).compose(t, specOf(t, "all"), machine())
	for i, got := range decodeEvents(t, k, noOptions) {
		c := cases()[i]
		want := wanted(t, &c, k.rows[i])
		for _, problem := range differences("", got, want) {
			t.Errorf("%s (record %d): %s", c.name, i, problem)
		}
	}
}

// A check decides whether a value is right if there is more than one right way to write it.
type check func(got any) bool

// differences lists where got is not as wanted.
func differences(path string, got, want any) []string {
	switch w := want.(type) {
	case object:
		g, ok := got.(object)
		if !ok {
			break
		}
		var all []string
		keys := maps.Clone(w)
		maps.Copy(keys, g)
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			wantedValue, isWanted := w[key]
			value, is := g[key]
			switch {
			case !is:
				all = append(all, path+key+" is missing")
			case !isWanted:
				all = append(all, path+key+" is too much")
			default:
				all = append(all, differences(path+key+".", value, wantedValue)...)
			}
		}
		return all
	case check:
		if w(got) {
			return nil
		}
		return []string{path + " reads " + show(got)}
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			break
		}
		var all []string
		for i := range w {
			all = append(all, differences(path+strconv.Itoa(i)+".", g[i], w[i])...)
		}
		return all
	}
	if reflect.DeepEqual(got, want) {
		return nil
	}
	return []string{path + " reads " + show(got) + ", want " + show(want)}
}

func show(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// wanted is the event of a case.
func wanted(t testing.TB, c *testCase, row []byte) object {
	t.Helper()
	var r record
	parse(t, row, &r)
	o := object{
		"u128": unsigned128(r.U128), "i128": signed128(r.I128), "u128s": list(r.U128s[:], unsigned128),
		"u64": number(r.U64), "i64": number(r.I64), "u32": number(r.U32), "i32": number(r.I32),
		"u16": number(r.U16), "i16": number(r.I16), "u8": number(r.U8), "i8": number(r.I8),
		"yes": r.Yes != 0, "letter": number(int8(r.Letter)), "ptr": number(r.Ptr),
		"f64": float(r.F64, 64), "f32": float(float64(r.F32), 32),
		"f64s":   list(r.F64s[:], func(f float64) any { return float(f, 64) }),
		"f32s":   list(r.F32s[:], func(f float32) any { return float(float64(f), 32) }),
		"u16s":   list(r.U16s[:], number[uint16]),
		"i32s":   list(r.I32s[:], number[int32]),
		"bools":  list(r.Bools[:], func(b uint8) any { return b != 0 }),
		"bytes":  hex.EncodeToString(r.Bytes[:]),
		"i8s":    hexOf(r.I8s), // arrays of single bytes are bytes
		"grid":   hexOf(r.Grid),
		"text":   text(r.Text[:]),
		"seq":    number(r.Seq),
		"hex":    number(r.Hex),
		"anon_a": number(r.AnonA), "anon_b": number(r.AnonB), "anon_c": number(int32(r.AnonB)),
		"last": number(r.Last), "rest_len": number(r.RestLen),
		"rest": hex.EncodeToString(restOf(&r, row)),
	}
	maps.Copy(o, wantedOddities(&r))
	maps.Copy(o, wantedBits(c))
	maps.Copy(o, wantedEnums(&r))
	maps.Copy(o, wantedNumbers(&r))
	maps.Copy(o, wantedStructs(&r))
	return o
}

// wantedOddities are those of unusual declarations.
func wantedOddities(r *record) object {
	return object{
		"palette": list(r.Palette[:], number[uint32]), "mixed": hexOf(r.Mixed), "stamps_raw": list(r.Stamps[:], number[uint64]),
		"names": hexOf(r.Names), "call": number(r.Call), "fixed": number(r.Fixed), "after_none": number(r.AfterNone),
		"state_raw": number(r.State), "state": enum(uint64(r.State), map[uint64]string{0: "CONF_OFF", 1: "CONF_ON"}),
		"tint_raw": number(r.Tint), "tint": enum(uint64(r.Tint), colors), "mac": hexOf(r.Mac),
		"chained_raw": number(uint32(r.Chained)), "chained": errno(r.Chained),
	}
}

// restOf returns the part of the trailing data that counts.
func restOf(r *record, row []byte) []byte {
	rest := row[recordSize:]
	return rest[:min(len(rest), int(r.RestLen))]
}

func wantedBits(c *testCase) object {
	v := c.bits
	if c.cut > 0 {
		v = bits{} // where those cases are cut they have none
	}
	return object{
		"low": number(v.low), "minus": number(v.minus), "across": number(v.across), "bit": v.bit,
		"wide": number(v.wide), "high": number(v.high),
		"painted_raw": number(v.painted), "painted": enum(uint64(v.painted), colors),
	}
}

var colors = map[uint64]string{1: "CONF_RED", 2: "CONF_GREEN", 1_000_000: "CONF_FAR"}

func wantedEnums(r *record) object {
	levels := map[int32]string{math.MinInt32: "CONF_LOWEST", -1: "CONF_LOW", 0: "CONF_EVEN", 7: "CONF_HIGH"}
	level, ok := levels[r.Level]
	if !ok {
		level = strconv.Itoa(int(r.Level))
	}
	kernel := map[uint64]string{0: "PIDTYPE_PID", 1: "PIDTYPE_TGID", 2: "PIDTYPE_PGID", 3: "PIDTYPE_SID", 4: "PIDTYPE_MAX"}
	return object{
		"color_raw": number(r.Color), "color": enum(uint64(r.Color), colors),
		"paint": number(r.Paint), "hue": enum(uint64(r.Paint), colors),
		"level_raw": number(r.Level), "level": level,
		"perm_raw":  number(r.Perm),
		"perm":      bitSet(uint64(r.Perm), "|", map[string]uint64{"CONF_X": 1, "CONF_W": 2, "CONF_R": 4, "CONF_RW": 6, "CONF_TOP": 1 << 31}),
		"named_raw": number(r.Named), "named": named(r.Named),
		"kernel_raw": number(r.Kernel), "kernel": enum(uint64(r.Kernel), kernel),
		"big_raw": number(r.Big), "big": enum(r.Big, map[uint64]string{1 << 63: "CONF_BIG", 3: "CONF_SMALL"}),
	}
}

// named is the text of the set whose 0 has a name, and whose separator is an annotation.
func named(v uint32) any {
	if v == 0 {
		return "CONF_NOTHING"
	}
	return bitSet(uint64(v), ", ", map[string]uint64{"CONF_ONE": 1})
}

func wantedNumbers(r *record) object {
	return object{
		"timestamp_raw": unixNano(r.Timestamp), "timestamp": moment(r.Timestamp, "2006-01-02T15:04:05.000000000Z07:00"),
		"when_raw": unixNano(r.When), "moment": moment(r.When, "Mon Jan _2 15:04:05.000 2006"),
		"bare":      unixNano(r.Bare),
		"error_raw": number(uint32(r.Error)), "error": errno(r.Error),
		"code": number(uint32(r.Code)), "code_name": errno(r.Code),
		"sig_raw": number(r.Sig), "sig": signal(r.Sig),
		"syscall_raw": number(uint64(r.Syscall)), "syscall": syscallName(r.Syscall),
		"mode_raw": number(r.Mode), "mode": mode(r.Mode),
		"flags_raw": number(r.Flags), "flags": openFlags(uint64(r.Flags)),
		"user_raw": number(r.User), "user": idName(userNames, r.User),
		"group_raw": number(r.Group), "group": idName(groupNames, r.Group),
		"size_raw": number(r.Size), "size": size(r.Size),
		"took_raw": number(r.Took), "took": duration(r.Took),
		"netns_id": number(r.NetnsID),
		"pid":      number(r.PID), "tid": number(r.TID), "ppid": number(r.PPID), "ptid": number(r.PTID),
		"comm": text(r.Comm[:]), "pcomm": text(r.PComm[:]),
		"users_raw": list(r.Users[:], number[uint32]),
	}
}

func wantedStructs(r *record) object {
	dst := wantedEndpoint(&r.Dst)
	dst["proto_raw"] = dst["proto"]
	dst["proto"] = protocol(r.Dst.Proto)
	word := binary.LittleEndian.AppendUint32(nil, r.In.Word)
	return object{
		"in": object{"a": number(r.In.A), "u": object{"word": number(r.In.Word), "octets": hex.EncodeToString(word)},
			"deep": object{"value": number(r.In.Deep)}, "after": hex.EncodeToString(r.In.After[:])},
		"addr":  object{"addr": address(r.Addr.Addr, r.Addr.Version), "version": number(r.Addr.Version)},
		"src":   wantedEndpoint(&r.Src),
		"dst":   dst,
		"owner": wantedCreds(r.Owner),
		"maker": wantedParent(r.Maker),
		"proc": object{"comm": text(r.Proc.Comm[:]), "pid": number(r.Proc.PID), "tid": number(r.Proc.TID),
			"mntns_id": number(r.Proc.MntnsID), "creds": wantedCreds(r.Proc.Creds), "parent": wantedParent(r.Proc.Parent)},
	}
}

func wantedEndpoint(e *l4) object {
	return object{"addr": address(e.Addr, e.Version), "version": number(e.Version), "port": number(e.Port), "proto": number(e.Proto)}
}

func wantedCreds(c creds) object {
	return object{"uid": number(c.UID), "gid": number(c.GID), "user": idName(userNames, c.UID), "group": idName(groupNames, c.GID)}
}

func wantedParent(p parent) object {
	return object{"comm": text(p.Comm[:]), "pid": number(p.PID), "tid": number(p.TID)}
}

// jsonpretty is json with other white space, and yaml says the same.
func TestNestedFormatsAgree(t *testing.T) {
	t.Parallel()
	for _, source := range []string{"all", "tail"} {
		k := replayed(t, source).compose(t, specOf(t, source), machine())
		plain := k.encode(t, "json", noOptions)
		var compact bytes.Buffer
		for _, o := range splitValues(t, k.encode(t, "jsonpretty", noOptions)) {
			if err := json.Compact(&compact, o); err != nil {
				t.Fatal(err)
			}
			compact.WriteByte('\n')
		}
		wantSame(t, "jsonpretty without white space", compact.String(), plain)
		want := decodeLines(t, plain)
		d := yaml.NewDecoder(strings.NewReader(k.encode(t, "yaml", noOptions)))
		for i := range want {
			var got any
			if err := d.Decode(&got); err != nil {
				t.Fatalf("yaml: event %d: %v", i, err)
			}
			for _, problem := range differences("", got, fromJSON(want[i])) {
				t.Errorf("yaml: event %d: %s", i, problem)
			}
		}
		if err := d.Decode(new(any)); err != io.EOF {
			t.Errorf("yaml: after the last event: %v", err)
		}
	}
}

// splitValues returns the JSON values of text, as they are written.
func splitValues(t testing.TB, text string) []json.RawMessage {
	t.Helper()
	var all []json.RawMessage
	for d := json.NewDecoder(strings.NewReader(text)); ; {
		var v json.RawMessage
		err := d.Decode(&v)
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
}

// fromJSON converts a JSON value to that of a YAML reader: numbers are compared by value, including those
// that only YAML has.
func fromJSON(v any) any {
	switch v := v.(type) {
	case object:
		o := make(object)
		for key, value := range v {
			o[key] = fromJSON(value)
		}
		return o
	case []any:
		return list(v, fromJSON)
	case json.Number:
		return check(func(got any) bool { return sameNumber(got, v) })
	case nil:
		return check(func(got any) bool {
			f, ok := got.(float64)
			return ok && (math.IsNaN(f) || math.IsInf(f, 0))
		})
	}
	return v
}

// sameNumber compares the result of a YAML reader with a JSON number. The reader returns a float of 64 bits for all
// numbers except integers of at most 64 bits. A zero without a point is an integer for it, without a sign.
func sameNumber(got any, want json.Number) bool {
	switch got := got.(type) {
	case int:
		return strconv.Itoa(got) == want.String() || got == 0 && want == "-0"
	case int64:
		return strconv.FormatInt(got, 10) == want.String()
	case uint64:
		return strconv.FormatUint(got, 10) == want.String()
	case float64:
		f, err := want.Float64()
		return err == nil && f == got
	}
	return false
}

// The columns of an event have the values of its json, for fields that both show.
func TestColumnsAgreeWithJSON(t *testing.T) {
	t.Parallel()
	k := replay(t).compose(t, specOf(t, "all"), machine())
	events := decodeEvents(t, k, noOptions)
	for _, name := range []string{"seq", "u128", "i128", "i64", "minus", "wide", "color", "level", "big", "perm", "timestamp",
		"moment", "error", "sig", "syscall", "mode", "flags", "user", "group", "took", "code_name", "u8"} {
		lines := strings.Split(k.encode(t, "columns", encode.Options{Fields: k.choose(t, name)}), "\n")
		for i, e := range events {
			var want string
			switch v := e[name].(type) {
			case string:
				want = v
			case json.Number:
				want = v.String()
			}
			if got := strings.TrimSpace(lines[i+1]); got != want {
				t.Errorf("event %d: column %s reads %q, json %q", i, name, got, want)
			}
		}
	}
}

// Nothing that a record holds can add a line to the columns, or reach a terminal as a command.
func TestColumnsKeepTheirLines(t *testing.T) {
	t.Parallel()
	k := replay(t).compose(t, specOf(t, "all"), machine())
	for _, width := range []int{0, 40, 200} {
		out := k.encode(t, "columns", encode.Options{Fields: k.everyField(t), Width: width})
		if n := strings.Count(out, "\n"); n != len(k.rows)+1 {
			t.Errorf("width %d: %d lines, want %d", width, n, len(k.rows)+1)
		}
		for _, r := range out {
			if r != '\n' && (r < ' ' || r >= 0x7f && r < 0xa0 || strings.ContainsRune("\u2028\u2029\u202e", r)) {
				t.Errorf("width %d: %U in the output", width, r)
			}
		}
	}
}
