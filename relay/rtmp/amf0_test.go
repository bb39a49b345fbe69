package rtmp

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestDecodeAMF0(t *testing.T) {
	for name, tc := range map[string]struct {
		in   string
		want []any
	}{
		"nothing":            {"", nil},
		"number":             {"\x00\x40\x00\x00\x00\x00\x00\x00\x00", []any{2.0}},
		"booleans":           {"\x01\x01\x01\x00", []any{true, false}},
		"string":             {"\x02\x00\x02hi", []any{"hi"}},
		"long string":        {"\x0c\x00\x00\x00\x02hi", []any{"hi"}},
		"nothings":           {"\x05\x06\x0d\x07\x00\x01", []any{nil, nil, nil, nil}},
		"object":             {"\x03\x00\x01a\x01\x01\x00\x00\x09", []any{object{"a": true}}},
		"empty key":          {"\x03\x00\x00\x01\x01\x00\x00\x09", []any{object{"": true}}},
		"typed object":       {"\x10\x00\x01C\x00\x01a\x05\x00\x00\x09", []any{object{"a": nil}}},
		"ECMA array":         {"\x08\xff\xff\xff\xff\x00\x01a\x02\x00\x01b\x00\x00\x09", []any{object{"a": "b"}}},
		"strict array":       {"\x0a\x00\x00\x00\x02\x05\x01\x01", []any{[]any{nil, true}}},
		"date":               {"\x0b\x40\x00\x00\x00\x00\x00\x00\x00\x00\x3c", []any{2.0}},
		"object in an array": {"\x0a\x00\x00\x00\x01\x03\x00\x00\x09", []any{[]any{object{}}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := decodeAMF0([]byte(tc.in), Limits{}.withDefaults())
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got %#v, want %#v", got, tc.want)
			}
		})
	}
}

func TestDecodeAMF0AtTheLimitOfDepth(t *testing.T) {
	in := strings.Repeat("\x0a\x00\x00\x00\x01", 32) + "\x05"
	if _, err := decodeAMF0([]byte(in), Limits{}.withDefaults()); err != nil {
		t.Error(err)
	}
}

func TestDecodeAMF0Refuses(t *testing.T) {
	for name, tc := range map[string]struct {
		in   string
		want error
	}{
		"a million nested arrays":        {strings.Repeat("\x0a\x00\x00\x00\x01", 1e6) + "\x05", ErrTooBig},
		"a million nested objects":       {strings.Repeat("\x03\x00\x01a", 1e6), ErrTooBig},
		"arrays nested 33 deep":          {strings.Repeat("\x0a\x00\x00\x00\x01", 33) + "\x05", ErrTooBig},
		"an array of 2^31-1 values":      {"\x0a\x7f\xff\xff\xff\x05", ErrProtocol},
		"an array of 2^32-1 values":      {"\x0a\xff\xff\xff\xff\x05", ErrProtocol},
		"a string of 4 GiB":              {"\x0c\xff\xff\xff\xffx", ErrProtocol},
		"more values than any needs":     {strings.Repeat("\x05", 4097), ErrTooBig},
		"a switch to AMF3":               {"\x11\x01", ErrProtocol},
		"an object that doesn't end":     {"\x03\x00\x01a\x05", ErrProtocol},
		"a number of four bytes":         {"\x00\x00\x00\x00\x00", ErrProtocol},
		"an object end without a begin":  {"\x00\x00\x09", ErrProtocol},
		"a key that is longer than all":  {"\x03\xff\xffa", ErrProtocol},
		"a date without its time zone":   {"\x0b\x40\x00\x00\x00\x00\x00\x00\x00", ErrProtocol},
		"a reference that is cut in two": {"\x07\x00", ErrProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := decodeAMF0([]byte(tc.in), Limits{}.withDefaults()); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}
