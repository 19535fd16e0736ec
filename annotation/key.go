// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package annotation

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Key is one row of a table: an annotation that a T can carry.
type Key[T any] struct {
	// Name is how the annotation is written: "columns.width".
	Name string
	// Doc is one sentence for gadget authors.
	Doc string
	// Value describes the values that it takes.
	Value Value

	set func(dst *T, text string) error
}

// Set reads text and puts the value into its place in dst.
func (k *Key[T]) Set(dst *T, text string) error {
	if err := k.set(dst, text); err != nil {
		return fmt.Errorf("%s: %w", k.Name, err)
	}
	return nil
}

// Check reports whether the annotation takes text as its value.
func (k *Key[T]) Check(text string) error {
	var dst T
	return k.Set(&dst, text)
}

// ValueKind is the form of an annotation's value.
type ValueKind uint8

// The forms.
const (
	Text     ValueKind = iota // any text; control characters other than line breaks and tabs are refused
	Line                      // text without control characters
	Name                      // the name of a field: parts of letters, digits, _ and -, with dots between them
	Bool                      // true or false
	Whole                     // a whole number from Min to Max
	Duration                  // a Go duration: "500ms", "1m30s"
	OneOf                     // one of Choices
	List                      // texts with commas between them
	Numbers                   // ascending numbers with commas between them
)

// Value describes the values that an annotation takes.
type Value struct {
	Kind ValueKind
	// Min and Max bound a Whole.
	Min, Max int
	// Choices are the values of a OneOf.
	Choices []string
}

// String describes the values for people: "true or false".
func (v Value) String() string {
	switch v.Kind {
	case Name:
		return "a field's name"
	case Bool:
		return "true or false"
	case Whole:
		return fmt.Sprintf("a whole number from %d to %d", v.Min, v.Max)
	case Duration:
		return `a duration such as "500ms" or "1m30s"`
	case OneOf:
		return "one of " + strings.Join(v.Choices, ", ")
	case List:
		return "texts with commas between them"
	case Numbers:
		return "ascending numbers with commas between them"
	}
	return "text"
}

// Check reports whether text is of the described form.
func (v Value) Check(text string) error {
	var err error
	switch v.Kind {
	case Bool:
		_, err = readBool(v, text)
	case Whole:
		_, err = readWhole(v, text)
	case Duration:
		_, err = readDuration(v, text)
	case OneOf:
		_, err = readChoice(v, text)
	case List:
		_, err = readList(v, text)
	case Numbers:
		_, err = readNumbers(v, text)
	default:
		_, err = readText(v, text)
	}
	return err
}

// unfit says that text is no value of the described form.
func (v Value) unfit(text string) error {
	return fmt.Errorf("%s is not %s", Quote(text), v)
}

// Quote quotes text for an error message, which should stay short and harmless whatever was
// written.
func Quote(text string) string {
	const most = 60
	if runes := []rune(text); len(runes) > most {
		return strconv.Quote(string(runes[:most])) + "…"
	}
	return strconv.Quote(text)
}

// newKey makes a row from a function that parses a value and one that returns where to store it.
func newKey[T, V any](name, doc string, value Value, read func(Value, string) (V, error), place func(*T) *V) Key[T] {
	return Key[T]{Name: name, Doc: doc, Value: value, set: func(dst *T, text string) error {
		v, err := read(value, text)
		if err != nil {
			return err
		}
		*place(dst) = v
		return nil
	}}
}

func textKey[T any](kind ValueKind, name, doc string, place func(*T) *string) Key[T] {
	return newKey(name, doc, Value{Kind: kind}, readText, place)
}

func boolKey[T any](name, doc string, place func(*T) *bool) Key[T] {
	return newKey(name, doc, Value{Kind: Bool}, readBool, place)
}

func wholeKey[T any](most int, name, doc string, place func(*T) *int) Key[T] {
	return newKey(name, doc, Value{Kind: Whole, Max: most}, readWhole, place)
}

func listKey[T any](name, doc string, place func(*T) *[]string) Key[T] {
	return newKey(name, doc, Value{Kind: List}, readList, place)
}

// pointerKey is newKey for places where nil means that nothing was said.
func pointerKey[T, V any](name, doc string, value Value, read func(Value, string) (V, error), place func(*T) **V) Key[T] {
	return newKey(name, doc, value, func(value Value, text string) (*V, error) {
		v, err := read(value, text)
		return &v, err
	}, place)
}

func readChoice(v Value, text string) (string, error) {
	if !slices.Contains(v.Choices, text) {
		return "", v.unfit(text)
	}
	return text, nil
}

// choice is one value of a OneOf and its meaning.
type choice[V any] struct {
	name  string
	value V
}

func choiceKey[T, V any](name, doc string, place func(*T) *V, choices ...choice[V]) Key[T] {
	value := Value{Kind: OneOf}
	for _, c := range choices {
		value.Choices = append(value.Choices, c.name)
	}
	read := func(value Value, text string) (V, error) {
		if i := slices.Index(value.Choices, text); i >= 0 {
			return choices[i].value, nil
		}
		var none V
		return none, value.unfit(text)
	}
	return newKey(name, doc, value, read, place)
}

func readText(v Value, text string) (string, error) {
	if !utf8.ValidString(text) {
		return "", fmt.Errorf("%s is not valid UTF-8", Quote(text))
	}
	if v.Kind == Name && !isName(text) {
		return "", v.unfit(text)
	}
	if i := strings.IndexFunc(text, func(r rune) bool { return refused(v.Kind, r) }); i >= 0 {
		r, _ := utf8.DecodeRuneInString(text[i:])
		return "", fmt.Errorf("the control character %q is not allowed here", r)
	}
	return text, nil
}

// refused reports whether a text must not contain r: the text of an image's author is shown on
// the terminals of users.
func refused(kind ValueKind, r rune) bool {
	if kind == Text && (r == '\n' || r == '\t') {
		return false
	}
	return unicode.IsControl(r)
}

func isName(text string) bool {
	for part := range strings.SplitSeq(text, ".") {
		if part == "" || strings.ContainsFunc(part, notInName) {
			return false
		}
	}
	return true
}

func notInName(r rune) bool {
	return r != '_' && r != '-' && (r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r))
}

// BoolTexts are the spellings of true and false, those of YAML.
func BoolTexts() (yes, no []string) {
	return []string{"true", "True", "TRUE"}, []string{"false", "False", "FALSE"}
}

func readBool(v Value, text string) (bool, error) {
	yes, no := BoolTexts()
	if slices.Contains(yes, text) {
		return true, nil
	}
	if slices.Contains(no, text) {
		return false, nil
	}
	return false, v.unfit(text)
}

func readWhole(v Value, text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < v.Min || n > v.Max || text[0] == '+' {
		return 0, v.unfit(text)
	}
	return n, nil
}

func readDuration(v Value, text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		return 0, v.unfit(text)
	case d < 0:
		return 0, fmt.Errorf("the duration %s is negative", text)
	}
	return d, nil
}

func readList(_ Value, text string) ([]string, error) {
	list := strings.Split(text, ",")
	for i, item := range list {
		list[i] = strings.TrimSpace(item)
		if list[i] == "" {
			return nil, fmt.Errorf("%s has an empty item", Quote(text))
		}
		if _, err := readText(Value{Kind: Line}, list[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func readNumbers(v Value, text string) ([]float64, error) {
	list, err := readList(v, text)
	if err != nil {
		return nil, err
	}
	numbers := make([]float64, len(list))
	for i, item := range list {
		if numbers[i], err = strconv.ParseFloat(item, 64); err != nil {
			return nil, v.unfit(text)
		}
		if numbers[i] != numbers[i] || i > 0 && numbers[i] <= numbers[i-1] {
			return nil, v.unfit(text)
		}
	}
	return numbers, nil
}
