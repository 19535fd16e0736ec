// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"encoding/json"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/pipeline"
	"github.com/gizmo-ebpf/gizmo/stage/filter"
	"github.com/gizmo-ebpf/gizmo/stage/sort"
)

// leaves lists the values of an event by their full names, without arrays.
func leaves(prefix string, o object, to object) object {
	for name, v := range o {
		switch v := v.(type) {
		case object:
			leaves(prefix+name+".", v, to)
		case []any, nil:
		default:
			to[prefix+name] = v
		}
	}
	return to
}

// flatEvents are the events of the recording as json shows them.
func flatEvents(t testing.TB, k taken) []object {
	t.Helper()
	var all []object
	for _, e := range decodeEvents(t, k, noOptions) {
		all = append(all, leaves("", e, make(object)))
	}
	return all
}

// shown is a value as text. There are two zeros, which are equal.
func shown(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case json.Number:
		if v == "-0" {
			return "0"
		}
		return v.String()
	}
	return ""
}

// through returns the numbers of the rows that a stage leaves in, in their order.
func (k taken) through(t testing.TB, st pipeline.Stage) []int {
	t.Helper()
	if err := st.Extend(k.schema); err != nil {
		t.Fatal(err)
	}
	f, err := st.Bind(k.schema, event.FieldSet{})
	if err != nil {
		t.Fatal(err)
	}
	b := event.Batch{Schema: k.schema, Rows: slices.Clone(k.rows)}
	if err := f(&b); err != nil {
		t.Fatal(err)
	}
	var left []int
	for _, row := range b.Rows {
		left = append(left, slices.IndexFunc(k.rows, func(r []byte) bool { return &r[0] == &row[0] }))
	}
	return left
}

// Filters compare the shown text: each value of each field finds the events that show it, and no
// others.
func TestFiltersFindWhatIsShown(t *testing.T) {
	t.Parallel()
	k := replay(t).compose(t, specOf(t, "all"), machine())
	events := flatEvents(t, k)
	for name, values := range valuesByField(events) {
		for text, want := range values {
			f := name + "==" + quoteForFilter(text)
			st, err := filter.New(map[string]string{"all": f})
			if err != nil {
				t.Errorf("%s: %v", f, err)
				continue
			}
			if got := k.through(t, st); !slices.Equal(got, want) {
				t.Errorf("%s: rows %v, want %v", f, got, want)
			}
		}
	}
}

// Expressions find the same events as filters.
func TestExpressionsFindWhatIsShown(t *testing.T) {
	t.Parallel()
	k := replay(t).compose(t, specOf(t, "all"), machine())
	events := flatEvents(t, k)
	for name, values := range valuesByField(events) {
		for _, want := range values {
			literal, ok := literalOf(events[want[0]][name])
			if !ok {
				continue
			}
			expr := variable(name) + " == " + literal
			st, err := filter.NewExpr(map[string]string{"all": expr})
			if err != nil {
				t.Errorf("%s: %v", expr, err)
				continue
			}
			if got := k.through(t, st); !slices.Equal(got, want) {
				t.Errorf("%s: rows %v, want %v", expr, got, want)
			}
		}
	}
}

// literalOf writes a value in the language of expressions, which has no integers beyond 63 bits.
func literalOf(v any) (string, bool) {
	text := shown(v)
	switch v.(type) {
	case string:
		return strconv.Quote(text), true
	case json.Number:
		if n, ok := new(big.Int).SetString(text, 10); ok {
			return text, n.BitLen() < 64
		}
	}
	return text, true
}

// variable is how a field is called in an expression. The struct "in" is called like a word of the
// language.
func variable(name string) string {
	if member, ok := strings.CutPrefix(name, "in."); ok {
		return `$env["in"].` + member
	}
	return name
}

// valuesByField lists, for each field and each of the values that it shows, the events that do.
// Text that is not UTF-8 is shown as other than it is, so it is left out.
func valuesByField(events []object) map[string]map[string][]int {
	all := make(map[string]map[string][]int)
	for i, e := range events {
		for name, v := range e {
			text := shown(v)
			if strings.ContainsRune(text, '\uFFFD') {
				continue
			}
			if all[name] == nil {
				all[name] = make(map[string][]int)
			}
			all[name][text] = append(all[name][text], i)
		}
	}
	return all
}

// quoteForFilter escapes the characters that have a meaning in filters.
func quoteForFilter(text string) string {
	text = strings.NewReplacer(`\`, `\\`, `,`, `\,`).Replace(text)
	if strings.HasPrefix(text, " ") {
		text = `\` + text
	}
	if strings.HasSuffix(text, " ") {
		text = strings.TrimSuffix(text, " ") + `\ `
	}
	return text
}

// Sorting puts numbers in the order of numbers and text in that of bytes, and leaves equal events as
// they came, up and down.
func TestSortingFollowsWhatIsShown(t *testing.T) {
	t.Parallel()
	k := replay(t).compose(t, specOf(t, "all"), machine())
	events := flatEvents(t, k)
	k.schema.Single = false
	for name := range events[0] {
		if slices.ContainsFunc(events, func(e object) bool { return e[name] == nil || strings.ContainsRune(shown(e[name]), '\uFFFD') }) {
			continue // NaN, and text that is shown as other than it is
		}
		for _, descending := range []bool{false, true} {
			want := sortedRows(events, name, descending)
			st, err := sort.NewArrays(sort.Options{Keys: map[event.SourceID][]sort.Key{{Name: "all"}: {{Field: name, Descending: descending}}}})
			if err != nil {
				t.Fatal(err)
			}
			if got := k.through(t, st); !slices.Equal(got, want) {
				t.Errorf("by %s, descending %v:\n got %v\nwant %v", name, descending, got, want)
			}
		}
	}
}

func sortedRows(events []object, name string, descending bool) []int {
	rows := make([]int, len(events))
	for i := range rows {
		rows[i] = i
	}
	slices.SortStableFunc(rows, func(a, b int) int {
		if descending {
			a, b = b, a
		}
		return compare(events[a][name], events[b][name])
	})
	return rows
}

func compare(a, b any) int {
	if n, ok := a.(json.Number); ok {
		x, _ := new(big.Rat).SetString(n.String())
		y, _ := new(big.Rat).SetString(shown(b))
		return x.Cmp(y)
	}
	return strings.Compare(shown(a), shown(b)) // false comes before true
}
