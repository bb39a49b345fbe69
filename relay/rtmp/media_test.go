package rtmp

import "testing"

func TestInspect(t *testing.T) {
	for name, tc := range map[string]struct {
		typ  Type
		in   string
		want Info
	}{
		"AVC sequence header":               {TypeVideo, "\x17\x00\x00\x00\x00\x01", Info{Kind: SequenceHeader}},
		"AVC keyframe":                      {TypeVideo, "\x17\x01\x00\x00\x00\x65", Info{Kind: Keyframe}},
		"AVC inter frame":                   {TypeVideo, "\x27\x01\x00\x00\x00\x41", Info{}},
		"AVC end of sequence":               {TypeVideo, "\x17\x02\x00\x00\x00", Info{}},
		"AVC cut after one byte":            {TypeVideo, "\x17", Info{}},
		"H.263 keyframe":                    {TypeVideo, "\x12\x00", Info{Kind: Keyframe}},
		"HEVC with codec id 12":             {TypeVideo, "\x1c\x00\x00\x00\x00", Info{Kind: SequenceHeader}},
		"video of no bytes":                 {TypeVideo, "", Info{}},
		"hvc1 sequence start":               {TypeVideo, "\x90hvc1", Info{Kind: SequenceHeader}},
		"hvc1 keyframe":                     {TypeVideo, "\x91hvc1", Info{Kind: Keyframe}},
		"hvc1 keyframe without CTS":         {TypeVideo, "\x93hvc1", Info{Kind: Keyframe}},
		"hvc1 inter frame":                  {TypeVideo, "\xa1hvc1", Info{}},
		"hvc1 metadata":                     {TypeVideo, "\xd4hvc1", Info{Kind: SequenceHeader, Slot: 4}},
		"sequence start behind ModEx":       {TypeVideo, "\x97\x02\x01\x02\x03\x00hvc1", Info{Kind: SequenceHeader}},
		"ModEx with a two-byte size, cut":   {TypeVideo, "\x97\xff\x00", Info{}},
		"ModEx without end":                 {TypeVideo, "\x97\x00\x00\x07\x00\x00\x07", Info{}},
		"second track's sequence start":     {TypeVideo, "\x96\x00hvc1\x01", Info{Kind: SequenceHeader, Slot: 1 << 8}},
		"second track's keyframe":           {TypeVideo, "\x96\x01hvc1\x01", Info{}},
		"first track's keyframe":            {TypeVideo, "\x96\x01hvc1\x00", Info{Kind: Keyframe}},
		"tracks of several codecs":          {TypeVideo, "\x96\x20hvc1\x03", Info{Kind: SequenceHeader, Slot: 3 << 8}},
		"multitrack, cut":                   {TypeVideo, "\x96\x00hv", Info{}},
		"AAC sequence header":               {TypeAudio, "\xaf\x00\x12\x10", Info{Kind: SequenceHeader}},
		"AAC frame":                         {TypeAudio, "\xaf\x01\x21", Info{}},
		"MP3 frame":                         {TypeAudio, "\x2f\x00\x21", Info{}},
		"audio of one byte":                 {TypeAudio, "\xaf", Info{}},
		"Opus sequence start":               {TypeAudio, "\x90Opus", Info{Kind: SequenceHeader}},
		"Opus multichannel config":          {TypeAudio, "\x94Opus", Info{Kind: SequenceHeader, Slot: 4}},
		"Opus frame":                        {TypeAudio, "\x91Opus", Info{}},
		"second track's Opus start":         {TypeAudio, "\x95\x00Opus\x01", Info{Kind: SequenceHeader, Slot: 1 << 8}},
		"second track's Opus configuration": {TypeAudio, "\x95\x04Opus\x01", Info{Kind: SequenceHeader, Slot: 1<<8 | 4}},
		"metadata as encoders send it":      {TypeData, "\x02\x00\x0d@setDataFrame\x02\x00\x0aonMetaData\x08", Info{Kind: Metadata}},
		"metadata as servers send it":       {TypeData, "\x02\x00\x0aonMetaData\x08", Info{Kind: Metadata}},
		"metadata in the AMF3 type":         {TypeDataAMF3, "\x00\x02\x00\x0aonMetaData\x08", Info{Kind: Metadata}},
		"a data message":                    {TypeData, "\x02\x00\x0aonTextData\x08", Info{}},
		"a data message of no bytes":        {TypeData, "", Info{}},
		"a command":                         {TypeCommand, "\x02\x00\x0aonMetaData", Info{}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := (Message{Type: tc.typ, Payload: []byte(tc.in)}).Inspect(); got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

func TestParseTarget(t *testing.T) {
	for in, want := range map[string]Target{
		"rtmp://81.69.49.115:1935/1540531164/caodantest": {
			Host: "81.69.49.115", Addr: "81.69.49.115:1935",
			TCURL: "rtmp://81.69.49.115:1935/1540531164", App: "1540531164", Name: "caodantest",
		},
		"rtmp://node.example/a/b/c?x=1/2&y=%20": {
			Host: "node.example", Addr: "node.example:1935",
			TCURL: "rtmp://node.example/a/b", App: "a/b", Name: "c?x=1/2&y=%20",
		},
		"rtmps://node.example/live/s": {
			Secure: true, Host: "node.example", Addr: "node.example:443",
			TCURL: "rtmps://node.example/live", App: "live", Name: "s",
		},
		"rtmp://[2001:db8::1]:1936/live/s": {
			Host: "2001:db8::1", Addr: "[2001:db8::1]:1936",
			TCURL: "rtmp://[2001:db8::1]:1936/live", App: "live", Name: "s",
		},
	} {
		got, err := ParseTarget(in)
		if err != nil || got != want {
			t.Errorf("%s:\ngot  %+v, %v\nwant %+v", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", "rtmp://", "http://h/a/b", "rtmp://h/a", "rtmp://h/a/", "rtmp://h//b", "rtmp://h", "://", "rtmp://h:x/a/b",
	} {
		if got, err := ParseTarget(in); err == nil {
			t.Errorf("%q: got %+v, want an error", in, got)
		}
	}
}

func TestCodec(t *testing.T) {
	for what, tc := range map[string]struct {
		typ     Type
		payload string
		want    uint32
	}{
		"AVC":                    {TypeVideo, "\x17\x00", 7},
		"AAC":                    {TypeAudio, "\xaf\x00", 10},
		"HEVC":                   {TypeVideo, "\x90hvc1", 0x68766331},
		"HEVC on a second track": {TypeVideo, "\x96\x00hvc1\x01", 0x68766331},
		"Opus":                   {TypeAudio, "\x90Opus", 0x4F707573},
		"nothing":                {TypeVideo, "", 0},
		"data":                   {TypeData, "\x02", 0},
	} {
		if got := (Message{Type: tc.typ, Payload: []byte(tc.payload)}).Codec(); got != tc.want {
			t.Errorf("%s: got %#x, want %#x", what, got, tc.want)
		}
	}
}
