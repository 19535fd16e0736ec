// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package annotation

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ParseFlags reads annotations from the command line. Each entry is a list, with commas between
// its items, of
//
//	DATASOURCE:KEY=VALUE
//	DATASOURCE.FIELD:KEY=VALUE
//
// The data source must always be named, even if there is only one: the meaning of "pid:template=pid" should
// not depend on whether a data source happens to be called pid. If the same annotation is given twice,
// the last one counts.
//
// A comma in a value is written "\,". A backslash before a colon, an equals sign or
// another backslash escapes these, too. names are the names of the data sources; others are errors.
func ParseFlags(entries []string, names []string) (map[string]*Spec, error) {
	specs := make(map[string]*Spec)
	var errs []error
	for _, entry := range entries {
		for rest, more := entry, entry != ""; more; {
			var item string
			item, rest, more = cutUnescaped(rest, ',')
			if err := parseItem(specs, item, names); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", Quote(item), err))
			}
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return specs, nil
}

var errForm = errors.New(`want DATASOURCE:KEY=VALUE or DATASOURCE.FIELD:KEY=VALUE; a comma inside a value is written "\,"`)

func parseItem(specs map[string]*Spec, item string, names []string) error {
	target, rest, ok := cutUnescaped(item, ':')
	key, value, ok2 := cutUnescaped(rest, '=')
	if !ok || !ok2 {
		return errForm
	}
	for _, part := range []*string{&target, &key, &value} {
		var err error
		if *part, err = unescape(*part); err != nil {
			return err
		}
	}
	source, field, hasField := strings.Cut(target, ".")
	if source == "" || key == "" || hasField && field == "" {
		return errForm
	}
	if !slices.Contains(names, source) {
		return unknownSource(source, target, names)
	}
	return setItem(specs, source, field, key, value)
}

func unknownSource(name, target string, names []string) error {
	err := error(&UnknownError{What: "data source", Name: name, Known: names})
	if len(names) == 1 {
		err = fmt.Errorf(`%w (the annotation of a field names its data source too: %q)`, err, names[0]+"."+target)
	}
	return err
}

func setItem(specs map[string]*Spec, source, field, key, value string) error {
	spec := specs[source]
	if spec == nil {
		spec = &Spec{}
		specs[source] = spec
	}
	if field == "" {
		spec.SetSource(key, value)
		return CheckKey(SourceKeys(), key, value)
	}
	spec.SetField(field, key, value)
	return CheckKey(fieldKeys(), key, value)
}

// cutUnescaped cuts s at the first sep that has no backslash before it.
func cutUnescaped(s string, sep byte) (before, after string, found bool) {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case sep:
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

func unescape(s string) (string, error) {
	if !strings.Contains(s, `\`) {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' {
			i++
			if i == len(s) || !strings.ContainsRune(`\,:=`, rune(s[i])) {
				return "", errors.New(`a backslash must stand before a comma, a colon, an equals sign or another backslash`)
			}
		}
		b.WriteByte(s[i])
	}
	return b.String(), nil
}
