"""The models' doors: one small file a wire protocol, all behind `domain.replies.Provider`."""
